"""Queues of SQS, looked at message by message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from runbooks._kit.messages import MOST, Message

# Seconds: a message that is not given back, because this process died, is seen by others after that.
_HIDDEN = 120
# SQS API Reference, ReceiveMessage and the batch operations: messages in one request.
_BATCH = 10


class SqsQueue:
    """One queue, by its URL."""

    def __init__(self, sqs: Any, url: str) -> None:
        self._sqs, self._url = sqs, url
        self.name = url.rsplit("/", 1)[-1]

    @contextmanager
    def taken(self, wanted: str | None = None) -> Iterator[list[Message]]:
        """What is in it, each message once, in no order."""
        found: dict[str, Message] = {}
        try:
            while len(found) < MOST and wanted not in found and (new := self._receive()):
                found |= {message.id: message for message in new}
            yield list(found.values())
        finally:
            self._give_back([each.handle for each in found.values()])

    def send(self, message: Message) -> None:
        """SQS gives it a new id; the headers say which one it had."""
        self._sqs.send_message(
            QueueUrl=self._url,
            MessageBody=message.body.decode(),
            MessageAttributes={
                key: {"DataType": "String", "StringValue": str(value)} for key, value in message.headers.items()
            },
        )

    def remove(self, message: Message) -> None:
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message.handle)

    def depth(self) -> int:
        """About how many there are, taken ones included."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def _receive(self) -> list[Message]:
        received = self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_BATCH,
            VisibilityTimeout=_HIDDEN,
            # A long poll asks all of SQS's servers, a short one some.
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
        )
        return [_message(each) for each in received.get("Messages", [])]

    def _give_back(self, handles: list[str]) -> None:
        """Those that were removed meanwhile are told in the answer as failed, and are no matter."""
        for start in range(0, len(handles), _BATCH):
            self._sqs.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                    for number, handle in enumerate(handles[start : start + _BATCH])
                ],
            )


def _message(received: Mapping[str, Any]) -> Message:
    headers = {key: value.get("StringValue") for key, value in received.get("MessageAttributes", {}).items()}
    return Message(
        id=received["MessageId"], body=received["Body"].encode(), headers=headers, handle=received["ReceiptHandle"]
    )

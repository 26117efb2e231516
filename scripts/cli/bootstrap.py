"""`eventctl bootstrap`: prepare an AWS account for its first `pulumi up`."""

from __future__ import annotations

from typing import Annotated, Any

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError

from scripts import bootstrap as steps
from scripts.cli import console


def bootstrap(
    region: Annotated[str, typer.Option(help="The environment's Region, as in its stack file.")] = "eu-west-3",
    account: Annotated[str | None, typer.Option(help="The account's id; asked for with --apply.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without it, it is only told.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a script to read.")] = False,
) -> None:
    """Make the bucket of the Pulumi state and the key of its secrets; safe to run again. Exit 1 failed, 2 refused."""
    if apply and account is None:
        console.fail("--apply needs --account: name the account that is meant, so that no other is changed", code=2)

    def client(service: str) -> Any:
        make: Any = boto3.client
        return make(service, region_name=region)

    try:
        where = steps.home(client, region, account=account)
        planned = steps.plan(client, where)
        for action in planned if apply else ():
            action.do()
            console.err.print(f"[green]✓[/] {action.what}", highlight=False)
        left = steps.plan(client, where) if apply else planned
    except steps.WrongAccount as error:
        console.fail(str(error), code=2)
    except (BotoCoreError, ClientError) as error:
        console.fail(f"AWS refuses: {error}")
    if as_json:
        told = {"account": where.account_id, "backend": where.backend, "secretsProvider": where.secrets_provider}
        console.as_json({**told, "planned": [action.what for action in planned], "left": [each.what for each in left]})
    else:
        console.table(["missing in " + where.account_id, "for"], [[each.what, each.why] for each in left])
        console.out.print(
            f"\npulumi login '{where.backend}'\n"
            f"pulumi stack init STACK --secrets-provider '{where.secrets_provider}'\n"
            "pulumi up --stack STACK --policy-pack policies/platform --target '**Delivery**' --target-dependents",
            soft_wrap=True,
            highlight=False,
        )
    if apply and left:
        console.fail(f"{len(left)} are still missing after the run; run it again, and see what AWS answers")

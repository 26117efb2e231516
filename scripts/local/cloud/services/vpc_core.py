"""placeholder"""
from scripts.local.cloud.table import Call, Row, by
ROWS = (
    Row(
        token="aws:ec2/vpc:Vpc",
        service="ec2",
        create=Call("create_vpc"),
        id="Vpc.VpcId",
        read=by("describe_vpcs", {"VpcIds": ["id"]}),
        at="Vpcs[0]",
        delete=by("delete_vpc", {"VpcId": "id"}),
        outputs={"arn": lambda s, _: s.arn("ec2", f"vpc/{s.id}")},
        tag_type="vpc", tag_key="id",
    ),
)

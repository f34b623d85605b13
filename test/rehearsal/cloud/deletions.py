"""How to delete what moto's CloudFormation creates and then forgets to delete."""

import boto3

DELETIONS = {
    "AWS::ApiGateway::RestApi": lambda id: boto3.client("apigateway").delete_rest_api(
        restApiId=id
    ),
    "AWS::EC2::EIP": lambda id: boto3.client("ec2").release_address(PublicIp=id),
    "AWS::EC2::FlowLog": lambda id: boto3.client("ec2").delete_flow_logs(
        FlowLogIds=[id]
    ),
    "AWS::EC2::InternetGateway": lambda id: delete_internet_gateway(id),
    "AWS::EC2::NatGateway": lambda id: boto3.client("ec2").delete_nat_gateway(
        NatGatewayId=id
    ),
    "AWS::EC2::RouteTable": lambda id: delete_route_table(id),
    "AWS::EC2::VPCEndpoint": lambda id: boto3.client("ec2").delete_vpc_endpoints(
        VpcEndpointIds=[id]
    ),
    "AWS::ElasticLoadBalancingV2::Listener": lambda id: boto3.client(
        "elbv2"
    ).delete_listener(ListenerArn=id),
    "AWS::ElasticLoadBalancingV2::TargetGroup": lambda id: boto3.client(
        "elbv2"
    ).delete_target_group(TargetGroupArn=id),
    "AWS::Lambda::LayerVersion": lambda id: delete_layer_version(id),
}


def delete_internet_gateway(id):
    """Detaches it too: moto gives the attachment, a resource of its own, no way to go."""
    ec2 = boto3.client("ec2")
    for gateway in ec2.describe_internet_gateways(InternetGatewayIds=[id])[
        "InternetGateways"
    ]:
        for attachment in gateway["Attachments"]:
            ec2.detach_internet_gateway(InternetGatewayId=id, VpcId=attachment["VpcId"])
    ec2.delete_internet_gateway(InternetGatewayId=id)


def delete_route_table(id):
    """Takes it from its subnets too, as with the gateway above."""
    ec2 = boto3.client("ec2")
    for table in ec2.describe_route_tables(RouteTableIds=[id])["RouteTables"]:
        for association in table["Associations"]:
            ec2.disassociate_route_table(
                AssociationId=association["RouteTableAssociationId"]
            )
    ec2.delete_route_table(RouteTableId=id)


def delete_layer_version(arn):
    layer, version = arn.rsplit(":", 1)
    boto3.client("lambda").delete_layer_version(
        LayerName=layer, VersionNumber=int(version)
    )

"""Prints as JSON what stands in the account, asked of each service by its own API.

Usage: account.py        with AWS_ENDPOINT_URL, a region and credentials in the environment
"""

import json

import boto3

SERVICES = (
    "acm apigateway autoscaling cloudwatch dynamodb ec2 elbv2 iam kms lambda logs s3 sns sqs cloudformation"
).split()
aws = {name: boto3.client(name) for name in SERVICES}


def every(service, operation, key, **arguments):
    """All pages of a list, or the only one."""
    client = aws[service]
    if client.can_paginate(operation):
        pages = client.get_paginator(operation).paginate(**arguments)
    else:
        pages = [getattr(client, operation)(**arguments)]
    return [item for page in pages for item in page.get(key, [])]


def queues():
    return [
        aws["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
            "Attributes"
        ]
        for url in every("sqs", "list_queues", "QueueUrls")
    ]


def load_balancers():
    for balancer in every("elbv2", "describe_load_balancers", "LoadBalancers"):
        arn = balancer["LoadBalancerArn"]
        attributes = aws["elbv2"].describe_load_balancer_attributes(
            LoadBalancerArn=arn
        )["Attributes"]
        listeners = every(
            "elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn
        )
        yield {**balancer, "attributes": named(attributes), "listeners": listeners}


def target_groups():
    for group in every("elbv2", "describe_target_groups", "TargetGroups"):
        attributes = aws["elbv2"].describe_target_group_attributes(
            TargetGroupArn=group["TargetGroupArn"]
        )["Attributes"]
        yield {**group, "attributes": named(attributes)}


def named(attributes):
    return {attribute["Key"]: attribute["Value"] for attribute in attributes}


def launch_templates():
    for template in every("ec2", "describe_launch_templates", "LaunchTemplates"):
        versions = aws["ec2"].describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"]
        )
        newest = versions["LaunchTemplateVersions"][-1]
        yield {
            "LaunchTemplateId": template["LaunchTemplateId"],
            **newest["LaunchTemplateData"],
        }


def keys():
    """Those that encrypt."""
    for key in every("kms", "list_keys", "Keys"):
        described = aws["kms"].describe_key(KeyId=key["KeyId"])["KeyMetadata"]
        if (
            described["KeyManager"] == "CUSTOMER"
            and described["KeyUsage"] == "ENCRYPT_DECRYPT"
            and described["KeyState"] != "PendingDeletion"
        ):
            rotation = aws["kms"].get_key_rotation_status(KeyId=key["KeyId"])
            yield {**described, "rotates": rotation["KeyRotationEnabled"]}


def tables():
    for name in every("dynamodb", "list_tables", "TableNames"):
        table = aws["dynamodb"].describe_table(TableName=name)["Table"]
        yield {**table, "items": every("dynamodb", "scan", "Items", TableName=name)}


def rest_apis():
    for api in every("apigateway", "get_rest_apis", "items"):
        resources = every(
            "apigateway",
            "get_resources",
            "items",
            restApiId=api["id"],
            embed=["methods"],
        )
        yield {**api, "resources": resources}


def certificates():
    for summary in every("acm", "list_certificates", "CertificateSummaryList"):
        arn = summary["CertificateArn"]
        certificate = aws["acm"].describe_certificate(CertificateArn=arn)["Certificate"]
        read = aws["acm"].get_certificate(CertificateArn=arn)
        yield {
            **certificate,
            "pem": read["Certificate"],
            "authority": read.get("CertificateChain", ""),
        }


def security_groups():
    """Who may reach whom: of a peer, its group or its addresses."""
    for group in every("ec2", "describe_security_groups", "SecurityGroups"):
        yield {
            "GroupId": group["GroupId"],
            "GroupName": group["GroupName"],
            "Description": group["Description"],
            "VpcId": group["VpcId"],
            "ingress": rules(group["IpPermissions"]),
            "egress": rules(group["IpPermissionsEgress"]),
        }


def rules(permissions):
    for permission in permissions:
        peers = [pair["GroupId"] for pair in permission["UserIdGroupPairs"]]
        peers += [address["CidrIp"] for address in permission["IpRanges"]]
        for peer in peers:
            yield {
                "protocol": permission["IpProtocol"],
                "port": permission.get("FromPort"),
                "peer": peer,
            }


def ours(vpc_owned):
    """Leaves out what every account has from its start: the default network."""
    defaults = {
        vpc["VpcId"]
        for vpc in every("ec2", "describe_vpcs", "Vpcs")
        if vpc["IsDefault"]
    }
    return [item for item in vpc_owned if item["VpcId"] not in defaults]


def living(items):
    """Leaves out what EC2 still shows for a while after its end."""
    return [item for item in items if item["State"] != "deleted"]


account = {
    "stacks": every("cloudformation", "describe_stacks", "Stacks"),
    "queues": queues(),
    "functions": every("lambda", "list_functions", "Functions"),
    "feeds": every("lambda", "list_event_source_mappings", "EventSourceMappings"),
    "layers": every("lambda", "list_layers", "Layers"),
    "groups": every("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"),
    "launchTemplates": launch_templates(),
    "loadBalancers": load_balancers(),
    "targetGroups": target_groups(),
    "keys": keys(),
    "tables": tables(),
    "restApis": rest_apis(),
    "apiKeys": every("apigateway", "get_api_keys", "items", includeValues=True),
    "certificates": certificates(),
    "logGroups": every("logs", "describe_log_groups", "logGroups"),
    "topics": every("sns", "list_topics", "Topics"),
    "buckets": every("s3", "list_buckets", "Buckets"),
    "dashboards": every("cloudwatch", "list_dashboards", "DashboardEntries"),
    "roles": every("iam", "list_roles", "Roles"),
    "vpcs": ours(every("ec2", "describe_vpcs", "Vpcs")),
    "subnets": ours(every("ec2", "describe_subnets", "Subnets")),
    "securityGroups": ours(security_groups()),
    "routeTables": ours(every("ec2", "describe_route_tables", "RouteTables")),
    "vpcEndpoints": living(every("ec2", "describe_vpc_endpoints", "VpcEndpoints")),
    "natGateways": living(every("ec2", "describe_nat_gateways", "NatGateways")),
    "internetGateways": every("ec2", "describe_internet_gateways", "InternetGateways"),
    "addresses": every("ec2", "describe_addresses", "Addresses"),
    "flowLogs": every("ec2", "describe_flow_logs", "FlowLogs"),
    "instances": [
        instance
        for reservation in every("ec2", "describe_instances", "Reservations")
        for instance in reservation["Instances"]
        if instance["State"]["Name"] not in ("shutting-down", "terminated")
    ],
}


def plain(value):
    return list(value) if hasattr(value, "__next__") else str(value)


print(json.dumps(account, default=plain))

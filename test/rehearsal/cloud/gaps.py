"""Closes gaps in moto's models: where its CloudFormation breaks off, or drops a property that its services know."""

import json

import boto3
from moto.apigateway.models import Method, RestAPI
from moto.awslambda.models import LambdaFunction, LayerVersion
from moto.cloudformation.models import ChangeSet
from moto.ec2.models.security_groups import SecurityGroup
from moto.elbv2.models import FakeLoadBalancer, FakeTargetGroup
from moto.kms.models import Key
from moto.kms.utils import generate_private_key
from moto.logs.models import LogGroup
from moto.stepfunctions.models import StateMachine

from .taught_types import allow_egress


def amend(model, before=None, after=None):
    """Has a look at a resource's properties before it is created, or at both once it is."""
    create = model.create_from_cloudformation_json

    def create_amended(
        resource_name, cloudformation_json, account_id, region_name, **kwargs
    ):
        properties = cloudformation_json["Properties"]
        if before:
            before(properties)
        resource = create(
            resource_name, cloudformation_json, account_id, region_name, **kwargs
        )
        if after:
            after(resource, properties)
        return resource

    model.create_from_cloudformation_json = staticmethod(create_amended)


def allow_mock_integration(properties):
    """An integration that answers by itself has neither a URI nor a method of the backend; moto insists on them."""
    properties["Integration"].setdefault("IntegrationHttpMethod", None)
    properties["Integration"].setdefault("Uri", None)


def write_policy_as_text(properties):
    """The key service reads its policies as text."""
    properties["KeyPolicy"] = json.dumps(properties["KeyPolicy"])


def finish_key(key, properties):
    """By CloudFormation, moto makes keys that encrypt and no others."""
    if properties.get("KeyUsage") == "SIGN_VERIFY":
        key.key_usage = properties["KeyUsage"]
        key.key_spec = properties["KeySpec"]
        key.private_key = generate_private_key(key.key_spec)


def finish_api(api, properties):
    source = {
        "op": "replace",
        "path": "/apiKeySource",
        "value": properties["ApiKeySourceType"],
    }
    boto3.client("apigateway").update_rest_api(
        restApiId=api.id, patchOperations=[source]
    )


def finish_function(function, properties):
    function.architectures = properties["Architectures"]
    function.tracing_config = properties["TracingConfig"]
    function.layers = function._get_layers_data(properties.get("Layers", []))


def finish_load_balancer(balancer, properties):
    boto3.client("elbv2").modify_load_balancer_attributes(
        LoadBalancerArn=balancer.arn, Attributes=properties["LoadBalancerAttributes"]
    )


def finish_target_group(group, properties):
    # That of a function has none.
    if "TargetGroupAttributes" not in properties:
        return
    boto3.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=group.arn, Attributes=properties["TargetGroupAttributes"]
    )


def shorten_name(model, most):
    """CloudFormation keeps the names that it makes to the service's limit; moto only those of load balancers."""
    create = model.create_from_cloudformation_json

    def create_shortened(resource_name, *args, **kwargs):
        # What tells names apart stands at their end.
        return create(resource_name[-most:].lstrip("-"), *args, **kwargs)

    model.create_from_cloudformation_json = staticmethod(create_shortened)


def finish_log_group(group, properties):
    group.kms_key_id = properties.get("KmsKeyId")


def finish_security_group(group, properties):
    for rule in properties.get("SecurityGroupEgress", []):
        allow_egress(group, rule)


def target_group_attribute(group, name):
    """Alarms ask for the target group's full name."""
    return {
        "TargetGroupFullName": group.arn.split(":")[-1],
        "TargetGroupName": group.name,
    }[name]


def apply_with_outputs(apply):
    """A stack made by a change set, as the CDK's are, never gets its outputs."""

    def apply_change_set(change_set):
        apply(change_set)
        change_set.stack.template_dict = change_set.template_dict
        change_set.stack.output_map = change_set.stack._create_output_map()

    return apply_change_set


def close():
    amend(Method, before=allow_mock_integration)
    amend(Key, before=write_policy_as_text, after=finish_key)
    amend(RestAPI, after=finish_api)
    amend(LambdaFunction, after=finish_function)
    amend(FakeLoadBalancer, after=finish_load_balancer)
    amend(FakeTargetGroup, after=finish_target_group)
    amend(LogGroup, after=finish_log_group)
    amend(SecurityGroup, after=finish_security_group)
    shorten_name(StateMachine, 80)
    ChangeSet.apply = apply_with_outputs(ChangeSet.apply)
    FakeTargetGroup.get_cfn_attribute = target_group_attribute
    LayerVersion.physical_resource_id = property(lambda layer: layer.arn)

"""Starts moto_server with what this rehearsal needs of CloudFormation and moto leaves out.

Usage, in the folder above: python3 -m cloud.launcher PORT

Every hook into moto.cloudformation.parsing is set at the end of this file, every other one in gaps.py. The
classes of taught_types.py need none: moto looks for subclasses of CloudFormationModel.
"""

import sys

from moto import server
from moto.cloudformation import parsing

from . import gaps, stand_in
from .custom_resource import CustomResource
from .deletions import DELETIONS


def create_dependencies_first(get_resource):
    """A Ref or GetAtt may create a resource ahead of its turn, and moto then forgets what it DependsOn."""

    def get_after_dependencies(resources, logical_id):
        definition = resources._resource_json_map.get(logical_id)
        if definition and logical_id not in resources._parsed_resources:
            names = definition.get("DependsOn", [])
            for name in [names] if isinstance(names, str) else names:
                resources[name]
        return get_resource(resources, logical_id)

    return get_after_dependencies


def delete_in_reverse(resources):
    """CloudFormation deletes what was made last first; moto goes through a set, in any order, until nothing fails.

    A custom resource notices: its deletion still needs the table that it writes to.
    """
    created = [
        name
        for name in resources._parsed_resources
        if name in resources._resource_json_map
    ]
    for logical_id in reversed(created):
        definition = resources._resource_json_map[logical_id]
        if definition.get("DeletionPolicy") == "Retain":
            continue
        resource = resources._parsed_resources.pop(logical_id)
        if definition["Type"] in DELETIONS:
            DELETIONS[definition["Type"]](resource.physical_resource_id)
        else:
            resources._delete_resource(resource, definition)


parsing.ResourceMap.__getitem__ = create_dependencies_first(
    parsing.ResourceMap.__getitem__
)
parsing.ResourceMap.delete = delete_in_reverse
parsing.CustomModel = CustomResource
parsing.resource_class_from_type = stand_in.for_unknown_types(
    parsing.resource_class_from_type
)
gaps.close()

server.main(["--port", sys.argv[1]])

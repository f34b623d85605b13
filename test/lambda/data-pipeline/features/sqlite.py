"""Runs the query of a training set on sqlite, with the one function that Athena has and sqlite lacks.

Reads {"history": {"table", "columns", "rows"}, "labels": {...}, "sql"} as JSON from standard input, and prints the rows
of the result as objects. The tables lie in databases of their own, as the query names them.
"""

import json
import sqlite3
import sys


class MaxBy:
    """max_by(value, order): the value that goes with the greatest order that is not null."""

    def __init__(self):
        self.best = None

    def step(self, value, order):
        if order is not None and (self.best is None or order > self.best[0]):
            self.best = (order, value)

    def value(self):
        return None if self.best is None else self.best[1]

    def inverse(self, *_):
        raise NotImplementedError("a window that only grows takes nothing back")

    finalize = value


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def load(connection, database, table):
    connection.execute(f"ATTACH ':memory:' AS {quoted(database)}")
    name = f"{quoted(database)}.{quoted(table['table'])}"
    columns = ", ".join(f"{quoted(name)} {kind}" for name, kind in table["columns"])
    connection.execute(f"CREATE TABLE {name} ({columns})")
    marks = ", ".join("?" for _ in table["columns"])
    connection.executemany(f"INSERT INTO {name} VALUES ({marks})", table["rows"])


results = []
for case in json.load(sys.stdin):
    connection = sqlite3.connect(":memory:")
    connection.create_window_function("max_by", 2, MaxBy)
    load(connection, "features", case["history"])
    load(connection, "labels", case["labels"])
    connection.row_factory = sqlite3.Row
    results.append([dict(row) for row in connection.execute(case["sql"])])
json.dump(results, sys.stdout)

from builder.positions import positions, show_path

SOURCE = b"""\
# comment
[product]
name = "x"
a.b = 1
"q k" = 2

[[agents]]
name = "a"
[[agents]]
name = "b"
list = [
  # comment
  "x",
  { a = 1, b = [
     2] },
]
[agents.sub]
z = 1
[[agents.deep]]
t = true
[x."y z".w]
t = true
"""


def test_lines_of_every_kind_of_key() -> None:
    lines = {show_path(path): line for path, line in positions(SOURCE).lines.items()}
    assert lines["product"] == 2
    assert lines["product.name"] == 3
    assert lines["product.a.b"] == 4
    assert lines["product.q k"] == 5
    assert lines["agents[0].name"] == 8
    assert lines["agents[1].name"] == 10
    assert lines["agents[1].list[0]"] == 13
    assert lines["agents[1].list[1].a"] == 14
    assert lines["agents[1].list[1].b[0]"] == 15
    assert lines["agents[1].sub.z"] == 18
    assert lines["agents[1].deep[0].t"] == 20
    assert lines["x.y z.w.t"] == 22


def test_a_path_that_is_not_there_has_the_line_of_its_nearest_ancestor() -> None:
    where = positions(SOURCE)
    assert where.line(("agents", 1, "sub", "absent", 3)) == 17
    assert where.line(("absent",)) == 1
    assert where.known(("agents", 1, "list", 1, "a", "str")) == ("agents", 1, "list", 1, "a")

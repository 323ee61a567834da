"""The table of the cluster benchmark: rows of what ran, peers side by side."""

from bench._cluster_table import table


def line(case: str, scheduler: str, **figures: float) -> dict:
    return {"benchmark": f"cluster {case}", "scheduler": scheduler, **figures}


def test_peers_stand_side_by_side():
    lines = [line("fill", "kube-scheduler", pods_per_s=87.5), line("fill", "runai", pods_per_s=94)]
    row = next(row for row in table(lines).splitlines() if "pods a second" in row)
    assert row.split() == ["fill", "pods", "a", "second", "-", "87.5", "94", ">=", "kube-scheduler"]


def test_what_did_not_run_has_no_row_and_no_figure_is_a_dash():
    shown = table([line("gangs", "runai", last_bind_s=4.5)]).splitlines()
    assert [row.split()[0] for row in shown] == ["case", "gangs"]
    assert shown[1].split()[-4:] == ["-", "4.5", "<=", "4"]

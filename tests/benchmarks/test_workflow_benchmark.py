import pytest

pytestmark = pytest.mark.slow


def test_the_papers_experiment_is_planned_and_no_table_job_imports_torch(benchmark_rows):
    plan, quiet, *starts = benchmark_rows("workflow.py", "--repeats", "1")
    assert set(plan) == {"what", "best_s", "target_s", "all_s", "jobs", "torch", "hardware"}
    assert int(plan["jobs"]) == int(quiet["jobs"]) > 300
    assert "start of table" in {row["what"] for row in starts}
    assert {row["torch"] for row in starts} == {"False"}

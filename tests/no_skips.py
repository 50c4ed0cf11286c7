"""A pytest plugin: with CI=true, a run in which anything was skipped, or failed as expected, has failed."""

import os

QUIET_OUTCOMES = ("skipped", "xfailed", "xpassed")


def _quiet(config):
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI", "").lower() not in {"true", "1"} or reporter is None:
        return []
    return [report for outcome in QUIET_OUTCOMES for report in reporter.stats.get(outcome, [])]


def pytest_sessionfinish(session):
    if _quiet(session.config) and session.exitstatus == 0:
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter, config):
    if quiet := _quiet(config):
        terminalreporter.section("skipped, and so failed (CI=true)", red=True)
        for report in quiet:
            terminalreporter.write_line(report.nodeid)

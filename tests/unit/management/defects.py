"""What the original did wrong, and the tests which show that it is not done here."""

_HERE = "tests/unit/management"
_OWN = f"{_HERE}/test_defects.py"

DEFECTS: tuple[tuple[str, str, str], ...] = (
    ("a query for service providers ignored `count`", _OWN, "test_providers_can_be_counted"),
    (
        "the shell's one-command mode joined its words again and lost the quotes",
        _OWN,
        "test_one_command_keeps_the_quotes_of_its_words",
    ),
    (
        "attaching an unknown provider or network was an internal error",
        _OWN,
        "test_attaching_what_does_not_exist_is_no_internal_error",
    ),
    (
        "the client gave up after half an hour, whatever the server's time was",
        _OWN,
        "test_the_shell_waits_as_long_as_the_server_works",
    ),
    (
        "of two calls that name the same inner work, an arbitrary one gave its time",
        _OWN,
        "test_the_order_of_two_calls_that_name_the_same_work_makes_no_difference",
    ),
    (
        "timeouts of all but six calls were passed over in silence",
        _OWN,
        "test_a_line_for_any_call_is_obeyed_and_one_for_none_is_not_passed_over",
    ),
    (
        "the host's calls took milliseconds for seconds",
        _OWN,
        "test_milliseconds_are_not_taken_for_seconds",
    ),
    (
        "the storage's agent was sent milliseconds and took them for seconds",
        f"{_HERE}/test_add_image.py",
        "test_the_note_s_line_gives_six_hours_to_call_and_agent",
    ),
    (
        "after a restart all collection jobs had one name, and only the first was armed",
        _OWN,
        "test_after_a_restart_each_job_still_has_its_own_name_and_is_run",
    ),
    (
        "a job that was loaded again never got its new node",
        _OWN,
        "test_a_job_that_was_loaded_again_belongs_to_the_node_that_runs_it",
    ),
    (
        "jobs of a killed node waited for a restart",
        _OWN,
        "test_jobs_of_a_killed_node_are_adopted_without_a_restart",
    ),
    (
        "a job for a host that was connected already waited for an event that never came",
        _OWN,
        "test_a_host_that_was_connected_before_the_job_was_loaded_is_noticed",
    ),
    (
        "a removal that was left twice had a row that nothing ran",
        _OWN,
        "test_a_removal_that_is_left_twice_is_one_job",
    ),
    ("a job that was given up left its triggers", _OWN, "test_a_job_that_was_given_up_has_no_trigger_left"),
    (
        "a host that did not answer was an internal error, and what it held was not collected",
        _OWN,
        "test_a_vm_is_destroyed_although_nobody_has_noticed_yet_that_its_host_is_lost",
    ),
    (
        "a destroyed machine that still ran came back to life in the inventory",
        _OWN,
        "test_a_vm_is_destroyed_although_nobody_has_noticed_yet_that_its_host_is_lost",
    ),
    (
        "the console agent never removed a token",
        f"{_HERE}/test_agents.py",
        "test_console_agent_opens_a_console_by_token",
    ),
    (
        "the console agent did not know a token that had been replaced",
        f"{_HERE}/test_agents.py",
        "test_a_new_token_ends_the_one_before",
    ),
    (
        "every console agent said that it was at 127.0.0.1",
        _OWN,
        "test_a_console_agent_has_its_node_s_address",
    ),
    (
        "the deployment program read another variable than it was sent",
        _OWN,
        "test_a_playbook_is_given_what_it_reads_and_reads_what_it_is_given",
    ),
    (
        "the package manager ran on every connection, whatever was there",
        f"{_HERE}/test_deploy.py",
        "test_decisions",
    ),
    ("text from outside was run as Python", _OWN, "test_no_text_is_ever_run_as_python"),
    (
        "the deployment program needed an Ansible that is gone",
        "tests/e2e/test_agent_packages.py",
        "test_a_host_gets_packages_with_its_agent",
    ),
    (
        "an agent's call could not be called, and nobody noticed",
        f"{_HERE}/test_agent_contract.py",
        "test_every_command_of_the_server_is_known",
    ),
    (
        "the server looked at the agent's HTTP status only",
        _OWN,
        "test_an_agent_that_says_no_over_a_good_connection_has_failed",
    ),
    ("an agent flushed firewall rules that were not its own", _OWN, "test_no_agent_touches_the_firewall"),
    (
        "the agent read another name for how disks move than it was sent",
        f"{_HERE}/test_real_cloud.py",
        "test_a_guest_that_runs_moves_and_does_not_notice",
    ),
    (
        "whether a machine could move hung on its host's name, which was compared with its line end",
        f"{_HERE}/test_moves.py",
        "test_a_running_vm_moves_there_and_back",
    ),
    (
        "a script used a variable that it had not set",
        "tests/contract/test_linters.py",
        "test_shellcheck_of_every_script",
    ),
)
"""What was wrong; the file that shows it is not so here, and its test."""

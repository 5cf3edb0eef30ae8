#pragma once
// Parts of `dougong flow`.

#include <string>
#include <string_view>
#include <vector>

#include "app/command.h"
#include "base/json/json.h"

namespace app {

/// Subcommands about runs: of a server, or of this machine's folder.
std::vector<Command> flow_run_commands();
Command flow_trace_command();
Command flow_blob_command();
/// Subcommands about work outside of the server and when it is begun.
std::vector<Command> flow_worker_commands();
/// Subcommands about whole runs: fork, export, replay.
std::vector<Command> flow_change_commands();
/// `flow alarms`: what is worth waking somebody for.
Command flow_alarm_command();

/// Does `flow show` ask for a page of events? That page. In flow_history.cc.
bool asks_for_events(const Args& args);
base::Result<int> show_events(const Args& args, Program& program);

/// Hours, minutes and seconds here.
std::string clock_text(std::int64_t unix_ms);
/// A value on one line, cut to about `length` bytes.
std::string short_text(const base::json::value& value, std::size_t length = 100);

/// JSON of a flag: the text itself, @FILE, or - for standard input.
base::Result<base::json::value> json_of_flag(std::string_view flag, const std::string& text);
/// A subcommand's own options, and those that all about runs have.
std::vector<OptionSpec> with_flow_options(std::vector<OptionSpec> own);

}  // namespace app

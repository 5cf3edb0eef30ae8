#pragma once
// The parts of `dougong sandbox` that speak to a running server, each in a file of its own.

#include <vector>

#include "app/command.h"

namespace app {

/// create, rm, pause, resume, stop, fork, snapshot, top.
std::vector<Command> sandbox_box_commands();
/// exec, shell, logs.
std::vector<Command> sandbox_exec_commands();
/// cp, ls.
std::vector<Command> sandbox_file_commands();

/// image ls, import, rm.
std::vector<Command> sandbox_image_commands();

/// session ls, open, run, fork, interrupt, rm.
std::vector<Command> sandbox_session_commands();

/// `ls` without a sandbox.
base::Result<int> list_boxes(const Args& args, Program& program);

}  // namespace app

#pragma once
// A sandbox's terminal on this one: keys there, bytes back, until its command ends.

#include <string>

#include "app/server_client.h"

namespace app {

class Terminal;

/// `path` is the terminal's, with its query but for the size. Returns the last message of the
/// server: how the command ended. Errors: those of WebSocketClient::connect; unavailable when the
/// connection breaks; cancelled by SIGTERM.
base::Result<base::json::object> run_remote_terminal(const ServerClient& client,
                                                     const std::string& path,
                                                     const Terminal& terminal);

}  // namespace app

#pragma once
// What `dougong mcp list|call|inspect` share: which server, who asks, and the person at the
// terminal whom a server may ask back.

#include <memory>
#include <string>
#include <vector>

#include "agent/mcp/client/client.h"
#include "agent/mcp/client/oauth.h"
#include "app/command.h"

namespace app {

/// --json and all that says how a server is reached.
std::vector<OptionSpec> mcp_client_options();

class McpConnection {
public:
    /// `words`: what the command was given, the server first if it is an address.
    static base::Result<std::unique_ptr<McpConnection>> open(const Args& args, Program& program,
                                                             std::vector<std::string> words);
    ~McpConnection();

    agent::mcp::Client& client() { return *client_; }
    /// The words that name no server.
    const std::vector<std::string>& words() const { return words_; }
    /// Warnings of the client so far.
    std::vector<std::string> warnings() const;
    /// Until Ctrl-C.
    agent::mcp::CallOptions call_options() const;

private:
    class Person;
    class ShowsAddress;
    McpConnection() = default;
    base::Result<std::unique_ptr<agent::mcp::Transport>> over_http(const Args& args,
                                                                   Program& program,
                                                                   const std::string& url);
    base::Result<std::unique_ptr<agent::mcp::Transport>> to_child(const Args& args,
                                                                  Program& program,
                                                                  std::vector<std::string> command);

    std::vector<std::string> words_;
    std::unique_ptr<Person> person_;
    std::unique_ptr<agent::mcp::Consent> consent_;
    std::unique_ptr<agent::mcp::CredentialFile> keys_;
    std::unique_ptr<agent::mcp::OAuth> oauth_;
    std::unique_ptr<agent::mcp::Client> client_;  ///< dies first
};

}  // namespace app

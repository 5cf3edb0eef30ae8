#include "app/commands/mcp_connection.h"

#include <fmt/format.h>

#include <mutex>

#include "agent/mcp/client/http_transport.h"
#include "agent/mcp/client/stdio_transport.h"
#include "app/build_info.h"
#include "app/commands/mcp_person.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/terminal.h"
#include "base/files/files.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace mcp = agent::mcp;

constexpr std::size_t kKeyFileBytes = 64 << 10;

std::string keys_file(const Environment& environment) {
    if (const auto data = variable(environment, "XDG_DATA_HOME")) {
        return *data + "/dougong/mcp/keys.json";
    }
    const auto home = variable(environment, "HOME");
    return home ? *home + "/.local/share/dougong/mcp/keys.json" : "";
}

Result<std::string> file_option(const Args& args, std::string_view flag) {
    const auto path = args.value(flag);
    if (!path) return std::string();
    std::string text = DG_TRY(base::read_file(*path, kKeyFileBytes));
    while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
    return text;
}

bool is_address(std::string_view word) {
    return word.starts_with("http://") || word.starts_with("https://");
}

/// A name and a value on both sides of `mark`.
Result<std::pair<std::string, std::string>> pair_of(const std::string& text, std::string_view flag,
                                                    char mark, std::string_view shape) {
    const std::size_t at = text.find(mark);
    if (at == std::string::npos || at == 0) {
        return base::fail_on(std::string(flag), Code::invalid_argument, "{} is '{}', expected {}",
                             flag, text, shape);
    }
    std::string value = text.substr(at + 1);
    if (mark == ':') value.erase(0, value.find_first_not_of(' '));
    return std::pair(text.substr(0, at), std::move(value));
}

}  // namespace

class McpConnection::Person final : public McpPerson {
public:
    using McpPerson::McpPerson;
    void warn(std::string_view what) override {
        McpPerson::warn(what);
        const std::lock_guard lock(mutex_);
        warnings_.emplace_back(what);
    }
    std::vector<std::string> warnings() {
        const std::lock_guard lock(mutex_);
        return warnings_;
    }

private:
    std::mutex mutex_;  // guards the one below
    std::vector<std::string> warnings_;
};

class McpConnection::ShowsAddress final : public mcp::Consent {
public:
    explicit ShowsAddress(const Terminal& terminal) : terminal_(terminal) {}
    Result<void> show(const std::string& url) override {
        terminal_.err(
            fmt::format("the server wants to know who asks. Open this page, and agree if "
                        "you do:\n\n  {}\n\nwaiting; Ctrl-C ends\n",
                        url));
        return {};
    }

private:
    const Terminal& terminal_;
};

std::vector<OptionSpec> mcp_client_options() {
    return {
        {"--json", "", "Answer in JSON."},
        {"--header", "NAME: VALUE", "Send this with every request; may be given several times."},
        {"--env", "NAME=VALUE", "For the command; may be given several times."},
        {"--revision", "DATE", "Speak this revision of the protocol only, as 2025-11-25."},
        {"--timeout-s", "N", "Wait so many seconds for an answer [default 60]."},
        {"--sign-in", "", "Show the page to sign in although nobody is at the terminal."},
        {"--scope", "WORDS", "Ask for these rights, too."},
        {"--client-id", "ID", "Sign in as this client, which is registered with the server."},
        {"--client-secret-file", "FILE", "Its secret."},
        {"--client-key-file", "FILE", "Its private key in PEM, instead of a secret."},
        {"--client-document", "URL", "The address of its metadata, as its id."},
        {"--own-behalf", "", "Sign in as the client itself; no person agrees."}};
}

McpConnection::~McpConnection() = default;

std::vector<std::string> McpConnection::warnings() const {
    return person_->warnings();
}

mcp::CallOptions McpConnection::call_options() const {
    mcp::CallOptions options;
    options.cancelled = [] { return Interrupt::any_raised(); };
    options.progress = [person = person_.get()](const base::json::object& progress) {
        person->progress(progress);
    };
    return options;
}

Result<std::unique_ptr<mcp::Transport>> McpConnection::over_http(const Args& args, Program& program,
                                                                 const std::string& url) {
    mcp::HttpTransportOptions options;
    options.url = url;
    options.http.proxy = program.config().models.proxy;
    bool key_given = false;
    for (const std::string& text : args.all("--header")) {
        options.headers.push_back(DG_TRY(pair_of(text, "--header", ':', "NAME: VALUE")));
        key_given = key_given || options.headers.back().first == "Authorization";
    }
    mcp::OAuthOptions oauth;
    oauth.url = url;
    oauth.client_id = args.value("--client-id").value_or("");
    oauth.client_secret = DG_TRY(file_option(args, "--client-secret-file"));
    oauth.private_key_pem = DG_TRY(file_option(args, "--client-key-file"));
    oauth.client_document = args.value("--client-document").value_or("");
    oauth.scope = args.value("--scope").value_or("");
    oauth.own_behalf = args.has("--own-behalf");
    oauth.http = options.http;
    keys_ = std::make_unique<mcp::CredentialFile>(keys_file(program.environment));
    if (args.has("--sign-in") || program.terminal.stderr_is_terminal()) {
        consent_ = std::make_unique<ShowsAddress>(program.terminal);
    }
    oauth_ = std::make_unique<mcp::OAuth>(std::move(oauth), *keys_, consent_.get(), program.clock);
    return std::make_unique<mcp::HttpTransport>(std::move(options),
                                                key_given ? nullptr : oauth_.get());
}

Result<std::unique_ptr<mcp::Transport>> McpConnection::to_child(const Args& args, Program& program,
                                                                std::vector<std::string> command) {
    mcp::StdioTransportOptions options;
    options.command = std::move(command);
    // What a program needs to find itself; keys of ours are nobody's.
    for (const char* name :
         {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "TMPDIR"}) {
        if (const auto value = variable(program.environment, name)) {
            options.environment.push_back(fmt::format("{}={}", name, *value));
        }
    }
    for (const std::string& text : args.all("--env")) {
        DG_TRY(pair_of(text, "--env", '=', "NAME=VALUE"));
        options.environment.push_back(text);
    }
    if (program.terminal.stderr_is_terminal()) {
        options.say_error = [&terminal = program.terminal](std::string_view said) {
            terminal.err(said);
        };
    }
    return DG_TRY(mcp::StdioTransport::start(std::move(options)));
}

Result<std::unique_ptr<McpConnection>> McpConnection::open(const Args& args, Program& program,
                                                           std::vector<std::string> words) {
    std::unique_ptr<McpConnection> made(new McpConnection());
    const std::vector<std::string> command = args.all("--");
    words.resize(words.size() - std::min(words.size(), command.size()));
    const bool address = !words.empty() && is_address(words.front());
    if (address == !command.empty()) {
        return base::fail_on("SERVER", Code::invalid_argument,
                             "{}; the address of a server (http...) comes first, or its command "
                             "last, after --",
                             address ? "an address and a command" : "which server?");
    }
    made->person_ = std::make_unique<Person>(program.terminal);
    auto transport = address ? made->over_http(args, program, words.front())
                             : made->to_child(args, program, command);
    if (!transport) return std::unexpected(std::move(transport).error());
    if (address) words.erase(words.begin());
    made->words_ = std::move(words);
    mcp::ClientOptions options;
    options.version = std::string(build_info().version);
    options.revision = args.value("--revision").value_or("");
    options.log_level = "warning";
    if (const auto seconds = DG_TRY(args.number("--timeout-s", 0.1, 86'400))) {
        options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(*seconds * 1000));
    }
    made->client_ = DG_TRY(mcp::Client::connect(*std::move(transport), *made->person_,
                                                std::move(options), program.clock));
    return made;
}

}  // namespace app

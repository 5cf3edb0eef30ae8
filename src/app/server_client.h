#pragma once
// A running server, for the command line: one call, one answer, or a stream.

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "app/command.h"
#include "base/http/client.h"
#include "base/json/json.h"

namespace app {

/// --url and --tenant, which every command that speaks to a server has.
std::vector<OptionSpec> server_options();

/// A string member, a number member; empty and 0 when absent.
std::string json_text(const base::json::object& object, std::string_view name);
std::uint64_t json_count(const base::json::object& object, std::string_view name);
/// The number `name` of the object `part`.
std::uint64_t json_count(const base::json::object& object, std::string_view part,
                         std::string_view name);

/// The server's own words about what went wrong, by their code. `who` answered.
base::Error refusal(const std::string& who, int status, const std::string& body);

/// Everything but unreserved characters and '/' as %XX.
std::string url_escape(std::string_view bytes);

/// Any thread.
class ServerClient {
public:
    explicit ServerClient(const Args& args);

    const std::string& url() const { return url_; }
    const base::HttpClient::Headers& headers() const { return headers_; }

    /// Errors: what the server said, by its code; unavailable when it is not there or not ours.
    base::Result<base::json::object> call(const std::string& method, const std::string& path,
                                          const base::json::object* body = nullptr) const;
    /// The answer's bytes go to `sink`, when its status is a success.
    using ByteSink = std::function<base::Result<void>(std::string_view bytes)>;
    struct Head {
        int status = 0;
        std::string content_type;
    };
    base::Result<Head> download(base::HttpClient::Request request, const ByteSink& sink) const;
    /// Sends a body from `source`. Errors: as call().
    base::Result<base::json::object> upload(
        const std::string& path,
        std::function<std::optional<std::size_t>(std::span<char>)> source) const;
    /// The data of each server-sent event, parsed, until the stream ends or `on_event` is false.
    base::Result<void> stream(base::HttpClient::Request request,
                              const std::function<bool(const base::json::object&)>& on_event,
                              const std::function<bool()>& cancelled) const;

    /// What a person calls a box: its id, the unique beginning of one, or its name.
    /// Errors: not_found; invalid_argument when several fit.
    base::Result<std::string> find(const std::string& word) const;

    base::HttpClient::Request request(const std::string& method, const std::string& path) const;

private:
    std::string url_;
    base::HttpClient::Headers headers_;
    base::HttpClient client_;
};

/// "/v1/sandboxes/ID" + `rest`.
std::string box_path(std::string_view id, std::string_view rest = "");

}  // namespace app

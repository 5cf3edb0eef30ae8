#pragma once
// A model behind an API that speaks OpenAI's: for embeddings, ranking and answers held to a schema.

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/http/client.h"
#include "base/json/json.h"

namespace app {

class ModelEndpoint {
public:
    struct Options {
        std::string url;    ///< of the API, up to and with /v1
        std::string model;  ///< as the endpoint calls it
        std::string api_key = {};
        std::chrono::milliseconds timeout{30'000};  ///< of one request
        base::HttpClient::Options http = {};
    };

    /// A slash at the end of the url is nothing. Thread-safe.
    explicit ModelEndpoint(Options options);

    const std::string& url() const { return options_.url; }
    const std::string& model() const { return options_.model; }
    /// POST of `body` and the model. Every status is an answer. Errors: those of the connection.
    base::Result<base::HttpClient::Response> post(std::string_view path,
                                                  base::json::object body) const;
    struct Stream {
        base::HttpClient::Headers headers = {};
        std::chrono::milliseconds timeout{0};  ///< 0: the endpoint's
        std::function<bool()> cancelled = {};
        std::function<void(std::string_view data)> on_data;  ///< of each server-sent event
    };
    /// The same with an answer in server-sent events. A body that names a model keeps it. Of a
    /// status that is no success the response has the body. Errors: those of the connection,
    /// cancelled.
    base::Result<base::HttpClient::Response> stream(std::string_view path, base::json::object body,
                                                    const Stream& stream) const;

private:
    base::HttpClient::Request request(std::string_view path, const base::json::object& body) const;

    Options options_;
    base::HttpClient client_;
};

/// What a chat's `response_format` is to hold its answer to `schema`.
base::json::object held_to(std::string_view name, base::json::object schema);
/// The text of a chat's answer; null where it has none.
const base::json::value* chat_content(const base::json::value& answer);

struct JsonQuestion {
    std::string_view instructions;
    std::string text;
    std::string_view name;  ///< of the schema
    base::json::object schema;
    std::uint32_t tokens_max = 1024;  ///< of the answer
};
/// What a chat model answers, held to a schema. Errors: unavailable (the service refuses, answers
/// no JSON), internal (400, which is of this text; no message), those of the connection and of
/// reading the message.
base::Result<base::json::value> ask_for_json(const ModelEndpoint& endpoint, JsonQuestion question);

/// The URL and model that an option names, before anybody is asked. `option` names the URL,
/// `option` with "_model" the model. Errors: invalid_argument.
struct NamedEndpoint {
    std::string_view option, url, model;
    std::string_view expected;  ///< what the option may say
    std::string_view does;      ///< the model: "reads", "writes"
};
base::Result<void> check_endpoint(const NamedEndpoint& named);

}  // namespace app

#include "app/model_endpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

#include "app/sse.h"

namespace app {

using base::Code;
using base::Result;
namespace json = base::json;

namespace {

constexpr std::size_t kRefusalBytesMax = 64u << 10;

}  // namespace

ModelEndpoint::ModelEndpoint(Options options)
    : options_(std::move(options)), client_(options_.http) {
    while (options_.url.ends_with('/')) options_.url.pop_back();
}

base::HttpClient::Request ModelEndpoint::request(std::string_view path,
                                                 const json::object& body) const {
    base::HttpClient::Request request;
    request.method = "POST";
    request.url = fmt::format("{}{}", options_.url, path);
    request.headers = {{"content-type", "application/json"}};
    if (!options_.api_key.empty()) {
        request.headers.emplace_back("authorization", "Bearer " + options_.api_key);
    }
    request.body = base::to_text(body);
    request.timeout = options_.timeout;
    return request;
}

base::Result<base::HttpClient::Response> ModelEndpoint::post(std::string_view path,
                                                             json::object body) const {
    body["model"] = options_.model;
    return client_.send(request(path, body));
}

base::Result<base::HttpClient::Response> ModelEndpoint::stream(std::string_view path,
                                                               json::object body,
                                                               const Stream& stream) const {
    if (!body.contains("model")) body["model"] = options_.model;
    base::HttpClient::Request asked = request(path, body);
    for (const auto& header : stream.headers) asked.headers.push_back(header);
    if (stream.timeout.count() > 0) asked.timeout = stream.timeout;
    asked.cancelled = stream.cancelled;
    SseParser events(stream.on_data);
    std::string refused;
    bool too_large = false;
    auto response = client_.send(asked, [&](const base::HttpClient::Response& head,
                                            std::span<const std::byte> bytes) {
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (head.status >= 200 && head.status < 300) {
            too_large = !events.feed(text);
            return !too_large;
        }
        refused += text.substr(0, kRefusalBytesMax - std::min(refused.size(), kRefusalBytesMax));
        return true;
    });
    if (too_large) {
        return base::fail(base::Code::payload_too_large, "{} sent more than {} bytes in one event",
                          options_.url, SseParser::kEventBytesMax);
    }
    if (response) response->body = std::move(refused);
    return response;
}

json::object held_to(std::string_view name, json::object schema) {
    return {{"type", "json_schema"},
            {"json_schema",
             json::object{{"name", name}, {"strict", true}, {"schema", std::move(schema)}}}};
}

Result<json::value> ask_for_json(const ModelEndpoint& endpoint, JsonQuestion question) {
    json::array messages = {json::object{{"role", "system"}, {"content", question.instructions}},
                            json::object{{"role", "user"}, {"content", std::move(question.text)}}};
    const auto response = DG_TRY(
        endpoint.post("/chat/completions",
                      {{"messages", std::move(messages)},
                       {"temperature", 0},
                       {"max_tokens", question.tokens_max},
                       {"response_format", held_to(question.name, std::move(question.schema))}}));
    // A refusal of the whole service is waited out, whatever it says; 400 is of this text.
    if (response.status != 200) {
        return base::fail(response.status == 400 ? Code::internal : Code::unavailable,
                          "{}/chat/completions answered {} for model {}; check the url, the "
                          "model and the key",
                          endpoint.url(), response.status, endpoint.model());
    }
    const auto parsed = base::parse_json(response.body);
    if (!parsed) {
        return base::fail(Code::unavailable, "{} answered no JSON: {}", endpoint.url(),
                          parsed.error().message);
    }
    const json::value* content = chat_content(*parsed);
    if (content == nullptr) {
        return base::fail(Code::internal, "{} answered without a message", endpoint.model());
    }
    return base::parse_json(content->get_string());
}

Result<void> check_endpoint(const NamedEndpoint& named) {
    if (!named.url.starts_with("http://") && !named.url.starts_with("https://")) {
        return base::fail_on(std::string(named.option), Code::invalid_argument,
                             "'{}' is \"{}\"; expected {}", named.option, named.url,
                             named.expected);
    }
    if (named.model.empty()) {
        return base::fail_on(std::string(named.option) + "_model", Code::invalid_argument,
                             "'{}_model' is empty; {} has to be told which model {}", named.option,
                             named.url, named.does);
    }
    return {};
}

const json::value* chat_content(const json::value& answer) {
    boost::system::error_code none;
    const json::value* content = answer.find_pointer("/choices/0/message/content", none);
    return content != nullptr && content->is_string() ? content : nullptr;
}

}  // namespace app

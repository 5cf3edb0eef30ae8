#include "app/model_endpoint.h"

#include <fmt/format.h>

#include <utility>

namespace app {

namespace json = base::json;

ModelEndpoint::ModelEndpoint(Options options)
    : options_(std::move(options)), client_(options_.http) {
    while (options_.url.ends_with('/')) options_.url.pop_back();
}

base::Result<base::HttpClient::Response> ModelEndpoint::post(std::string_view path,
                                                             json::object body) const {
    base::HttpClient::Request request;
    request.method = "POST";
    request.url = fmt::format("{}{}", options_.url, path);
    request.headers = {{"content-type", "application/json"}};
    if (!options_.api_key.empty()) {
        request.headers.emplace_back("authorization", "Bearer " + options_.api_key);
    }
    body["model"] = options_.model;
    request.body = base::to_text(body);
    request.timeout = options_.timeout;
    return client_.send(request);
}

json::object held_to(std::string_view name, json::object schema) {
    return {{"type", "json_schema"},
            {"json_schema",
             json::object{{"name", name}, {"strict", true}, {"schema", std::move(schema)}}}};
}

const json::value* chat_content(const json::value& answer) {
    boost::system::error_code none;
    const json::value* content = answer.find_pointer("/choices/0/message/content", none);
    return content != nullptr && content->is_string() ? content : nullptr;
}

}  // namespace app

#include "app/server_client.h"

#include <fmt/format.h>

#include "app/sse.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

base::HttpClient::Options patient() {
    base::HttpClient::Options options;
    options.stall_timeout = std::chrono::milliseconds(0);  // a command may say nothing for hours
    return options;
}

}  // namespace

base::Error refusal(const std::string& who, int status, const std::string& body) {
    const auto parsed = base::parse_json(body);
    const json::value* error =
        parsed && parsed->is_object() ? parsed->get_object().if_contains("error") : nullptr;
    if (error == nullptr || !error->is_object()) {
        return {
            Code::unavailable,
            fmt::format("{} answered {} without a reason; is it a Dougong server?", who, status),
            "--url"};
    }
    const std::string word = json_text(error->get_object(), "code");
    Code code = status < 500 ? Code::failed_precondition : Code::unavailable;
    for (const Code known :
         {Code::invalid_argument, Code::not_found, Code::already_exists, Code::unauthenticated,
          Code::permission_denied, Code::payload_too_large, Code::resource_exhausted,
          Code::deadline_exceeded, Code::unimplemented, Code::data_loss}) {
        if (word == base::code_name(known)) code = known;
    }
    const std::string message = json_text(error->get_object(), "message");
    return {code, message.empty() ? fmt::format("{} answered {}", who, status) : message, {}};
}

std::vector<OptionSpec> server_options() {
    return {{"--url", "URL", "The server [default http://127.0.0.1:8080]."},
            {"--tenant", "NAME", "Whose sandboxes [default: default]."}};
}

std::string json_text(const json::object& object, std::string_view name) {
    const json::value* found = object.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : "";
}

std::uint64_t json_count(const json::object& object, std::string_view name) {
    const json::value* found = object.if_contains(name);
    boost::system::error_code error;
    const auto number = found != nullptr ? found->to_number<std::uint64_t>(error) : 0;
    return error ? 0 : number;
}

std::uint64_t json_count(const json::object& object, std::string_view part, std::string_view name) {
    const json::value* found = object.if_contains(part);
    return found != nullptr && found->is_object() ? json_count(found->get_object(), name) : 0;
}

std::string url_escape(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~' ||
                           c == '/';
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::string box_path(std::string_view id, std::string_view rest) {
    return fmt::format("/v1/sandboxes/{}{}", url_escape(id), rest);
}

ServerClient::ServerClient(const Args& args)
    : url_(args.value("--url").value_or("http://127.0.0.1:8080")), client_(patient()) {
    while (url_.ends_with('/')) url_.pop_back();
    if (url_.ends_with("/v1")) url_.resize(url_.size() - 3);
    if (const auto tenant = args.value("--tenant")) {
        headers_.emplace_back("X-Dougong-Tenant", *tenant);
    }
}

base::HttpClient::Request ServerClient::request(const std::string& method,
                                                const std::string& path) const {
    base::HttpClient::Request request;
    request.method = method;
    request.url = url_ + path;
    request.headers = headers_;
    return request;
}

Result<json::object> ServerClient::call(const std::string& method, const std::string& path,
                                        const json::object* body) const {
    auto asked = request(method, path);
    if (body != nullptr) {
        asked.body = base::to_text(*body);
        asked.headers.emplace_back("Content-Type", "application/json");
    }
    const auto response = DG_TRY(client_.send(asked));
    if (response.status >= 300) {
        return std::unexpected(refusal(url_, response.status, response.body));
    }
    auto parsed = base::parse_json(response.body);
    if (parsed && parsed->is_object()) return std::move(parsed->get_object());
    return base::fail_on("--url", Code::unavailable, "{} answered {} without JSON", url_,
                         response.status);
}

Result<ServerClient::Head> ServerClient::download(base::HttpClient::Request asked,
                                                  const ByteSink& sink) const {
    std::string refused;
    std::optional<base::Error> failed;
    const auto take = [&](const base::HttpClient::Response& head,
                          std::span<const std::byte> bytes) {
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (head.status >= 300) {
            constexpr std::size_t kReasonBytesMax = 64 * 1024;
            refused += text.substr(0, kReasonBytesMax - std::min(kReasonBytesMax, refused.size()));
            return true;
        }
        if (auto taken = sink(text); !taken) failed = std::move(taken).error();
        return !failed;
    };
    const auto response = client_.send(asked, take);
    if (failed) return std::unexpected(std::move(*failed));
    if (!response) return std::unexpected(response.error());
    if (response->status >= 300) return std::unexpected(refusal(url_, response->status, refused));
    return Head{response->status,
                std::string(response->header("Content-Type").value_or(std::string_view()))};
}

Result<json::object> ServerClient::upload(
    const std::string& path,
    std::function<std::optional<std::size_t>(std::span<char>)> source) const {
    auto asked = request("PUT", path);
    asked.body_source = std::move(source);
    const auto response = DG_TRY(client_.send(asked));
    if (response.status >= 300) {
        return std::unexpected(refusal(url_, response.status, response.body));
    }
    json::value parsed = DG_TRY(base::parse_json(response.body));
    return parsed.is_object() ? std::move(parsed.get_object()) : json::object();
}

Result<void> ServerClient::stream(base::HttpClient::Request asked,
                                  const std::function<bool(const json::object&)>& on_event,
                                  const std::function<bool()>& cancelled) const {
    bool go_on = true;
    asked.cancelled = cancelled;
    SseParser events([&](std::string_view data) {
        const auto parsed = base::parse_json(data);
        if (go_on && parsed && parsed->is_object()) go_on = on_event(parsed->get_object());
    });
    const auto done = download(std::move(asked), [&](std::string_view bytes) -> Result<void> {
        if (!events.feed(bytes)) {
            return base::fail(Code::payload_too_large, "{} sent more than {} bytes in one event",
                              url_, SseParser::kEventBytesMax);
        }
        if (!go_on) return base::fail(Code::cancelled, "enough");
        return {};
    });
    if (!done && go_on) return std::unexpected(done.error());
    return {};
}

Result<std::string> ServerClient::find(const std::string& word) const {
    // A whole id may be that of a box that has ended: only the server knows it.
    constexpr std::size_t kIdBytes = 24;
    if (word.size() == kIdBytes && word.starts_with("sbx-")) return word;
    const json::object listing = DG_TRY(call("GET", "/v1/sandboxes"));
    std::vector<std::string> fits;
    const json::value* data = listing.if_contains("data");
    for (const json::value& box :
         data != nullptr && data->is_array() ? data->get_array() : json::array()) {
        if (!box.is_object()) continue;
        const std::string id = json_text(box.get_object(), "id");
        if (id == word) return id;
        if (json_text(box.get_object(), "name") == word || id.starts_with(word) ||
            id.starts_with("sbx-" + word)) {
            fits.push_back(id);
        }
    }
    if (fits.size() == 1 && !word.empty()) return fits.front();
    if (fits.size() > 1 && !word.empty()) {
        return base::fail_on("BOX", Code::invalid_argument,
                             "'{}' fits {} sandboxes, such as {} and {}; type more of the id", word,
                             fits.size(), fits[0], fits[1]);
    }
    return base::fail_on("BOX", Code::not_found,
                         "there is no sandbox '{}'; see them with: dougong sandbox ls", word);
}

}  // namespace app

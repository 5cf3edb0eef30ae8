#include "app/flow/alarm_places.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>

#include "base/files/files.h"
#include "base/http/client.h"

namespace app {

using base::Code;
using base::Result;

namespace {

constexpr std::uint64_t kFileBytesMax = 1u << 20, kSecretBytesMax = 4'096;
constexpr std::size_t kAnswerBytesMax = 64u << 10, kWordsMax = 200;
constexpr std::chrono::seconds kTimeout{10}, kConnectTimeout{5};

Result<std::string> secret_of(const Program& program, bool from_file, const std::string& name) {
    if (from_file) return base::read_file(name, kSecretBytesMax);
    if (auto value = variable(program.environment, name)) return *value;
    return base::fail(Code::invalid_argument, "the environment has no variable {}", name);
}

/// The beginning of an answer as one line.
std::string words_of(std::string_view body) {
    std::string out(body.substr(0, kWordsMax));
    std::ranges::replace_if(
        out, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
}

std::optional<std::chrono::seconds> retry_after_of(const base::HttpClient::Response& response) {
    const auto text = response.header("Retry-After");
    std::int64_t seconds = 0;
    if (!text ||
        std::from_chars(text->data(), text->data() + text->size(), seconds).ec != std::errc()) {
        return std::nullopt;
    }
    return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, 86'400));
}

}  // namespace

Result<flow::AlarmFile> load_alarm_file(const Program& program, bool secrets) {
    const std::string& path = program.config().flow.alarms;
    if (path.empty()) return flow::AlarmFile{};
    const auto text = base::read_file(path, kFileBytesMax);
    if (!text) {
        return base::fail_on("flow.alarms", Code::invalid_argument, "flow.alarms: {}",
                             text.error().message);
    }
    return flow::read_alarm_file(*text, path, [&](bool from_file, const std::string& name) {
        return secrets ? secret_of(program, from_file, name)
                       : Result<std::string>(std::string(32, '-'));
    });
}

flow::WebhookPost webhook_post(const std::atomic<bool>& stopping) {
    const auto client = std::make_shared<const base::HttpClient>(base::HttpClient::Options{
        .proxy = {}, .ca_file = {}, .connect_timeout = kConnectTimeout, .stall_timeout = kTimeout});
    return [client, &stopping](const flow::Webhook& to, const flow::WebhookHeaders& headers,
                               const std::string& body) -> Result<flow::WebhookAnswer> {
        base::HttpClient::Request request;
        request.method = "POST";
        request.url = to.url;
        request.headers = headers;
        request.body = body;
        request.follow_redirects = false;  // the configuration names the place, nobody else does
        request.timeout = kTimeout;
        request.cancelled = [&stopping] { return stopping.load(); };
        flow::WebhookAnswer answer;
        std::string said;
        const auto response = client->send(
            request, [&](const base::HttpClient::Response& head, std::span<const std::byte> bytes) {
                answer.status = head.status;
                said.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
                return said.size() < kAnswerBytesMax;
            });
        if (response) {
            answer.status = response->status;
            answer.retry_after = retry_after_of(*response);
        } else if (answer.status == 0 || said.size() < kAnswerBytesMax) {
            return std::unexpected(response.error());
        }
        answer.words = words_of(said);
        return answer;
    };
}

std::function<std::optional<std::uint64_t>()> free_bytes_of(std::string dir) {
    return [dir = std::move(dir)]() -> std::optional<std::uint64_t> {
        std::error_code wrong;
        const auto space = std::filesystem::space(dir, wrong);
        if (wrong) return std::nullopt;
        return space.available;
    };
}

}  // namespace app

#include "base/http/message.h"

#include <algorithm>
#include <array>

namespace base::http {
namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// True for "0", "0.", "0.000": the only q values that mean "not this one".
bool is_zero_weight(std::string_view q) {
    return !q.empty() && q.find_first_not_of("0.") == std::string_view::npos;
}

constexpr std::array<std::pair<int, std::string_view>, 33> kStatusTexts = {{
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
}};

}  // namespace

bool equal_no_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, {}, lower, lower);
}

std::string_view Headers::get(std::string_view name) const {
    for (const auto& [key, value] : fields_) {
        if (equal_no_case(key, name)) return value;
    }
    return {};
}

bool Headers::has(std::string_view name) const {
    return std::ranges::any_of(fields_,
                               [&](const Field& f) { return equal_no_case(f.first, name); });
}

void Headers::add(std::string name, std::string value) {
    fields_.emplace_back(std::move(name), std::move(value));
}

void Headers::set(std::string_view name, std::string value) {
    std::erase_if(fields_, [&](const Field& f) { return equal_no_case(f.first, name); });
    fields_.emplace_back(std::string(name), std::move(value));
}

std::string_view Request::param(std::string_view name) const {
    for (const auto& [key, value] : params) {
        if (key == name) return value;
    }
    return {};
}

std::optional<std::string> Request::query_param(std::string_view name) const {
    std::string_view rest = query;
    while (!rest.empty()) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
        const std::size_t equals = pair.find('=');
        const auto key = percent_decode(pair.substr(0, equals), true);
        if (!key || *key != name) continue;
        const std::string_view raw =
            equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1);
        auto value = percent_decode(raw, true);
        return value ? std::move(*value) : std::string(raw);
    }
    return std::nullopt;
}

Response text_response(int status, std::string_view content_type, std::string body) {
    Response response;
    response.status = status;
    response.headers.add("Content-Type", std::string(content_type));
    response.body = std::move(body);
    return response;
}

std::string_view status_text(int status) {
    const auto* const found =
        std::ranges::find(kStatusTexts, status, [](const auto& entry) { return entry.first; });
    return found == kStatusTexts.end() ? "Unknown" : found->second;
}

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            const int high = i + 1 < text.size() ? hex_digit(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return fail(Code::invalid_argument,
                            "'%' at byte {} is not followed by two hex digits; write %25 for '%'",
                            i);
            }
            c = static_cast<char>(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0') return fail(Code::invalid_argument, "a NUL byte is not allowed in a URL");
        out += c;
    }
    return out;
}

bool list_has_token(std::string_view list, std::string_view token) {
    while (!list.empty()) {
        const std::string_view item = list.substr(0, list.find(','));
        list.remove_prefix(std::min(list.size(), item.size() + 1));
        const std::size_t semicolon = item.find(';');
        if (!equal_no_case(trim(item.substr(0, semicolon)), token)) continue;
        if (semicolon == std::string_view::npos) return true;
        const std::string_view weight = trim(item.substr(semicolon + 1));
        return !(weight.starts_with("q=") && is_zero_weight(weight.substr(2)));
    }
    return false;
}

}  // namespace base::http

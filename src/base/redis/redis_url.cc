#include "base/redis/redis_url.h"

#include <algorithm>
#include <charconv>

#include "base/core/url_password.h"

namespace base::redis {
namespace {

constexpr std::string_view kTcp = "redis://", kUnix = "redis+unix://", kPrefix = "prefix=";

template <class T>
bool number(std::string_view text, T& out) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), out);
    return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

/// False: a "%" without two digits.
bool unescape(std::string_view text, std::string& out) {
    out.clear();
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        unsigned value = 0;
        const std::string_view digits = text.substr(i + 1, 2);
        const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (digits.size() != 2 || read.ptr != digits.data() + 2) return false;
        out += static_cast<char>(value);
        i += 2;
    }
    return true;
}

bool read_user(std::string_view text, RedisUrl& out) {
    const std::size_t colon = text.find(':');
    if (colon == std::string_view::npos) return false;  // a user alone opens nothing
    return unescape(text.substr(0, colon), out.user) &&
           unescape(text.substr(colon + 1), out.password);
}

bool read_host(std::string_view text, RedisUrl& out) {
    std::size_t end = text.rfind(':');
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos) return false;
        out.host = text.substr(1, close - 1);
        end = close + 1;
        if (end == text.size()) return true;
        if (text[end] != ':') return false;
    } else {
        out.host = text.substr(0, end);
    }
    if (out.host.empty()) return false;
    return end == std::string_view::npos ||
           (number(text.substr(end + 1), out.port) && out.port != 0);
}

bool read_tcp(std::string_view rest, RedisUrl& out) {
    const std::size_t slash = rest.find('/');
    const std::string_view server = rest.substr(0, slash);
    const std::size_t at = server.rfind('@');
    if (at != std::string_view::npos && !read_user(server.substr(0, at), out)) return false;
    if (!read_host(server.substr(at == std::string_view::npos ? 0 : at + 1), out)) return false;
    if (slash == std::string_view::npos || slash + 1 == rest.size()) return true;
    return number(rest.substr(slash + 1), out.database);
}

bool good_prefix(std::string_view prefix) {
    return !prefix.empty() && prefix.size() <= 64 &&
           prefix.find_first_not_of(
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
               "-_.") == std::string_view::npos;
}

}  // namespace

Result<RedisUrl> parse_redis_url(std::string_view url) {
    RedisUrl parsed;
    parsed.shown = without_password(url);
    const std::size_t question = std::min(url.find('?'), url.size());
    std::string_view query = url.substr(question);
    bool good = query.empty() || query.substr(1).starts_with(kPrefix);
    if (good && !query.empty()) {
        parsed.prefix = query.substr(1 + kPrefix.size());
        good = good_prefix(parsed.prefix);
    }
    const std::string_view place = url.substr(0, question);
    if (place.starts_with(kUnix)) {
        good = good && unescape(place.substr(kUnix.size()), parsed.socket) &&
               parsed.socket.starts_with('/');
    } else {
        good = good && place.starts_with(kTcp) && read_tcp(place.substr(kTcp.size()), parsed);
    }
    if (good) return parsed;
    return fail_on(parsed.shown, Code::invalid_argument,
                   "{} is no URL of a Redis server; expected "
                   "redis://USER:PASSWORD@HOST:PORT/DATABASE or redis+unix:///PATH/OF/SOCKET, with "
                   "%XX for signs like / @ % in user and password, and no parameter but prefix "
                   "(letters, digits, - _ .)",
                   parsed.shown);
}

}  // namespace base::redis

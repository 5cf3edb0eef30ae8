#include "base/trace/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace base::trace {
namespace {

std::string hex(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

/// Lower case only, as the standard demands. False when `text` is anything else.
bool read_hex(std::string_view text, std::span<std::uint8_t> bytes) {
    if (text.size() != bytes.size() * 2) return false;
    const auto digit = [](char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    }
    return true;
}

bool all_zero(std::span<const std::uint8_t> bytes) {
    return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

void fill_random(Rng& rng, std::span<std::uint8_t> bytes) {
    do {
        for (std::size_t i = 0; i < bytes.size(); i += 8) {
            std::uint64_t word = rng.next();
            for (std::size_t k = i; k < std::min(i + 8, bytes.size()); ++k, word >>= 8) {
                bytes[k] = static_cast<std::uint8_t>(word & 0xff);
            }
        }
    } while (all_zero(bytes));
}

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

bool valid_state_key(std::string_view key) {
    const auto lower_or_digit = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    };
    if (key.empty() || key.size() > 256 || !lower_or_digit(key.front())) return false;
    if (std::ranges::count(key, '@') > 1) return false;
    return std::ranges::all_of(key, [&](char c) {
        return lower_or_digit(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
    });
}

bool valid_state_value(std::string_view value) {
    if (value.empty() || value.size() > 256 || value.back() == ' ') return false;
    return std::ranges::all_of(
        value, [](char c) { return c >= 0x20 && c <= 0x7e && c != ',' && c != '='; });
}

}  // namespace

std::string to_hex(const TraceId& id) {
    return hex(id);
}
std::string to_hex(const SpanId& id) {
    return hex(id);
}

Result<Context> parse_traceparent(std::string_view header) {
    header = trim(header);
    const auto wrong = [&](std::string_view why) {
        return fail_on("traceparent", Code::invalid_argument, "traceparent '{}' is wrong: {}",
                       header.substr(0, 80), why);
    };
    constexpr std::size_t kLength = 55;  // 2 + 1 + 32 + 1 + 16 + 1 + 2
    std::array<std::uint8_t, 1> version{}, flags{};
    if (header.size() < kLength) return wrong("shorter than 55 characters");
    if (!read_hex(header.substr(0, 2), version) || version[0] == 0xff) {
        return wrong("the version must be two lower case hex digits and not ff");
    }
    if (version[0] == 0 && header.size() != kLength) return wrong("version 00 has 55 characters");
    if (header.size() > kLength && header[kLength] != '-') return wrong("'-' expected after flags");
    if (header[2] != '-' || header[35] != '-' || header[52] != '-') {
        return wrong("its four parts are joined by '-'");
    }
    Context context;
    if (!read_hex(header.substr(3, 32), context.trace_id) || all_zero(context.trace_id)) {
        return wrong("the trace id must be 32 lower case hex digits and not zero");
    }
    if (!read_hex(header.substr(36, 16), context.span_id) || all_zero(context.span_id)) {
        return wrong("the parent id must be 16 lower case hex digits and not zero");
    }
    if (!read_hex(header.substr(53, 2), flags)) return wrong("the flags must be two hex digits");
    context.sampled = (flags[0] & 1) != 0;
    return context;
}

std::string format_traceparent(const Context& context) {
    return fmt::format("00-{}-{}-{:02x}", to_hex(context.trace_id), to_hex(context.span_id),
                       context.sampled ? 1 : 0);
}

bool valid_tracestate(std::string_view header) {
    std::vector<std::string_view> keys;
    while (!header.empty()) {
        const std::string_view raw = header.substr(0, header.find(','));
        header.remove_prefix(std::min(header.size(), raw.size() + 1));
        const std::string_view member = trim(raw);
        if (member.empty()) continue;  // empty members are allowed
        const std::size_t equals = member.find('=');
        if (equals == std::string_view::npos) return false;
        const std::string_view key = member.substr(0, equals);
        if (!valid_state_key(key) || !valid_state_value(member.substr(equals + 1))) return false;
        if (std::ranges::find(keys, key) != keys.end()) return false;
        keys.push_back(key);
    }
    return keys.size() <= 32;
}

Context new_context(Rng& rng, const std::optional<Context>& parent) {
    Context context;
    if (parent) {
        context = *parent;
    } else {
        fill_random(rng, context.trace_id);
    }
    fill_random(rng, context.span_id);
    return context;
}

}  // namespace base::trace

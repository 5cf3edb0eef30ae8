#include "flow/cron/time_zone.h"

#include <algorithm>
#include <chrono>

#include "base/files/files.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;

namespace {

constexpr std::string_view kDatabase = "/usr/share/zoneinfo/";
constexpr std::uint64_t kFileMax = 1u << 20;

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}
    bool good() const { return good_; }
    std::string_view take(std::size_t count) {
        if (count > bytes_.size()) {
            good_ = false;
            count = bytes_.size();
        }
        const std::string_view out = bytes_.substr(0, count);
        bytes_.remove_prefix(count);
        return out;
    }
    std::int64_t number(std::size_t size) {
        std::uint64_t out = 0;
        for (const char c : take(size)) out = out << 8 | static_cast<std::uint8_t>(c);
        if (size == 4) return static_cast<std::int32_t>(static_cast<std::uint32_t>(out));
        return static_cast<std::int64_t>(out);
    }
    std::string_view rest() const { return bytes_; }

private:
    std::string_view bytes_;
    bool good_ = true;
};

struct Head {
    char version = 0;
    std::size_t utc = 0, standard = 0, leaps = 0, times = 0, types = 0, chars = 0;
};

bool read_head(Reader& in, Head& head) {
    if (in.take(4) != "TZif") return false;
    const std::string_view version = in.take(1);
    head.version = version.empty() ? '\0' : version[0];
    in.take(15);
    for (std::size_t* count :
         {&head.utc, &head.standard, &head.leaps, &head.times, &head.types, &head.chars}) {
        const std::int64_t read = in.number(4);
        if (read < 0 || read > 1'000'000) return false;
        *count = static_cast<std::size_t>(read);
    }
    return in.good();
}

bool read_int(std::string_view& text, int& out) {
    std::size_t digits = 0;
    out = 0;
    while (digits < text.size() && digits < 6 && text[digits] >= '0' && text[digits] <= '9') {
        out = out * 10 + (text[digits++] - '0');
    }
    text.remove_prefix(digits);
    return digits > 0;
}

/// "[+-]h[:mm[:ss]]" in seconds.
bool read_time(std::string_view& text, int& out) {
    int sign = 1, part = 0;
    if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
        if (text[0] == '-') sign = -1;
        text.remove_prefix(1);
    }
    if (!read_int(text, part)) return false;
    out = part * 3'600;
    for (const int unit : {60, 1}) {
        if (text.empty() || text[0] != ':') break;
        text.remove_prefix(1);
        if (!read_int(text, part)) return false;
        out += part * unit;
    }
    out *= sign;
    return true;
}

bool read_name(std::string_view& text) {
    std::size_t end = 0;
    if (text.starts_with('<')) {
        end = text.find('>');
        if (end == std::string_view::npos) return false;
        ++end;
    } else {
        while (end < text.size() && ((text[end] | 32) >= 'a' && (text[end] | 32) <= 'z')) ++end;
    }
    text.remove_prefix(end);
    return end >= 3;
}

/// Seconds since 1970 at which a day of the year begins, on its own clock.
template <class Day>
std::int64_t moment_of(const Day& rule, int year) {
    using namespace std::chrono;
    const auto month_first = std::chrono::year(year) / rule.month / 1;
    sys_days day =
        sys_days(month_first) +
        days((rule.weekday - static_cast<int>(weekday(sys_days(month_first)).c_encoding()) + 7) %
                 7 +
             (rule.week - 1) * 7);
    const sys_days last = sys_days(std::chrono::year(year) / rule.month / std::chrono::last);
    while (day > last) day -= days(7);
    return std::int64_t{day.time_since_epoch().count()} * 86'400 + rule.second;
}

}  // namespace

Result<TimeZone> TimeZone::find(std::string_view name) {
    TimeZone zone;
    if (name.empty()) return zone;
    if (const auto offset = parse_zone_offset(name)) {
        zone.first_offset_s_ = *offset;
        return zone;
    }
    const bool plain = std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '+' || c == '/';
    });
    if (!plain || name.starts_with('/') || name.size() > 64) {
        return fail(
            Code::invalid_argument,
            "'{}' is no time zone; expected a name such as Europe/Berlin, or an offset such "
            "as +02:00",
            name);
    }
    const auto bytes = base::read_file(std::string(kDatabase) + std::string(name), kFileMax);
    if (!bytes) {
        return fail(Code::not_found,
                    "there is no time zone '{}' in {} (package tzdata); expected a name such as "
                    "Europe/Berlin, or an offset such as +02:00",
                    name, kDatabase);
    }
    return read(*bytes);
}

Result<TimeZone> TimeZone::read(std::string_view bytes) {
    const auto damaged = [] { return fail(Code::data_loss, "a time zone's file is damaged"); };
    Reader in(bytes);
    Head head;
    if (!read_head(in, head) || head.version < '2') return damaged();
    in.take(head.times * 5 + head.types * 6 + head.chars + head.leaps * 8 + head.standard +
            head.utc);
    if (!read_head(in, head) || head.types == 0) return damaged();
    TimeZone zone;
    std::vector<std::int64_t> times(head.times);
    for (std::int64_t& at : times) at = in.number(8);
    const std::string_view which = in.take(head.times);
    std::vector<std::int32_t> offsets;
    for (std::size_t i = 0; i < head.types; ++i) {
        offsets.push_back(static_cast<std::int32_t>(in.number(4)));
        in.take(2);
    }
    in.take(head.chars + head.leaps * 12 + head.standard + head.utc);
    if (!in.good() || !std::ranges::is_sorted(times)) return damaged();
    zone.first_offset_s_ = offsets[0];
    for (std::size_t i = 0; i < times.size(); ++i) {
        const auto type = static_cast<std::uint8_t>(which[i]);
        if (type >= offsets.size()) return damaged();
        zone.changes_.push_back({times[i], offsets[type]});
    }
    std::string_view rule = in.rest();
    if (rule.size() >= 2 && rule[0] == '\n') {
        rule.remove_prefix(1);
        rule = rule.substr(0, rule.find('\n'));
        zone.has_rule_ = zone.read_rule(rule);
    }
    return zone;
}

/// "CET-1CEST,M3.5.0,M10.5.0/3"; without summer time the offset alone.
bool TimeZone::read_rule(std::string_view text) {
    int offset = 0;
    if (!read_name(text) || !read_time(text, offset)) return false;
    standard_s_ = -offset;
    summer_s_ = standard_s_;
    if (text.empty()) return true;
    if (!read_name(text)) return false;
    summer_s_ = standard_s_ + 3'600;
    if (!text.empty() && text[0] != ',') {
        if (!read_time(text, offset)) return false;
        summer_s_ = -offset;
    }
    for (Day* day : {&begins_, &ends_}) {
        if (!text.starts_with(",M")) return false;
        text.remove_prefix(2);
        if (!read_int(text, day->month) || !text.starts_with('.')) return false;
        text.remove_prefix(1);
        if (!read_int(text, day->week) || !text.starts_with('.')) return false;
        text.remove_prefix(1);
        if (!read_int(text, day->weekday)) return false;
        if (text.starts_with('/')) {
            text.remove_prefix(1);
            if (!read_time(text, day->second)) return false;
        }
        if (day->month < 1 || day->month > 12 || day->week < 1 || day->week > 5 ||
            day->weekday > 6) {
            return false;
        }
    }
    return text.empty();
}

std::int32_t TimeZone::offset_at(std::int64_t utc_s) const {
    if (!changes_.empty() && utc_s < changes_.back().at_s) {
        const auto after = std::ranges::upper_bound(changes_, utc_s, {}, &Change::at_s);
        return after == changes_.begin() ? first_offset_s_ : std::prev(after)->offset_s;
    }
    if (!has_rule_) return changes_.empty() ? first_offset_s_ : changes_.back().offset_s;
    if (summer_s_ == standard_s_) return standard_s_;
    using namespace std::chrono;
    const auto day = floor<days>(sys_seconds(seconds(utc_s + standard_s_)));
    const int year = static_cast<int>(year_month_day(day).year());
    const std::int64_t begins = moment_of(begins_, year) - standard_s_;
    const std::int64_t ends = moment_of(ends_, year) - summer_s_;
    const bool summer = begins < ends ? utc_s >= begins && utc_s < ends
                                      : utc_s >= begins || utc_s < ends;  // the other half
    return summer ? summer_s_ : standard_s_;
}

std::optional<std::int64_t> TimeZone::next(const Cron& cron, std::int64_t after_s) const {
    const std::int32_t before = offset_at(after_s);
    std::int64_t from_s = after_s;
    for (int tries = 0; tries < 1'000; ++tries) {
        const auto plain = cron.next(from_s, before);
        if (!plain) return std::nullopt;
        const std::int64_t local_s = *plain + before;
        // The clock shows `local_s` at one or two moments, or at none when it jumps over it.
        const std::int32_t near = offset_at(*plain - 86'400), far = offset_at(*plain + 86'400);
        const std::int64_t early = local_s - std::max(near, far);
        const std::int64_t late = local_s - std::min(near, far);
        std::int64_t at = late;
        if (offset_at(early) == local_s - early) {
            at = early;
        } else if (offset_at(late) != local_s - late) {
            // It jumps: the first moment after, which lies between the two readings.
            std::int64_t low = early - 1, high = late;
            const std::int32_t old = offset_at(low);
            while (high - low > 1) {
                const std::int64_t middle = low + (high - low) / 2;
                (offset_at(middle) == old ? low : high) = middle;
            }
            at = high;
        }
        if (at > after_s) return at;
        from_s = *plain;
    }
    return std::nullopt;
}

}  // namespace flow

#include "app/memory_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "app/server_client.h"
#include "app/terminal/progress_bar.h"

namespace app {
namespace {

namespace json = base::json;

std::int64_t whole(const json::object& object, std::string_view name) {
    const json::value* found = object.if_contains(name);
    boost::system::error_code error;
    const auto number = found != nullptr ? found->to_number<std::int64_t>(error) : 0;
    return error ? 0 : number;
}
double real(const json::object& object, std::string_view name) {
    const json::value* found = object.if_contains(name);
    boost::system::error_code error;
    const auto number = found != nullptr ? found->to_number<double>(error) : 0;
    return error ? 0 : number;
}

/// One line of at most `width` bytes, cut between characters.
std::string one_line(std::string_view text, std::size_t width) {
    std::string out;
    for (const char c : text) out += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
    if (out.size() <= width) return out;
    std::size_t end = width > 3 ? width - 3 : 0;
    while (end > 0 && (static_cast<unsigned char>(out[end]) & 0xc0) == 0x80) --end;
    return out.substr(0, end) + "...";
}

json::array data_of(const json::object& listing) {
    const json::value* data = listing.if_contains("data");
    return data != nullptr && data->is_array() ? data->get_array() : json::array();
}

std::string spoken(const json::object& entry) {
    const std::string speaker = json_text(entry, "speaker");
    return (speaker.empty() ? "" : speaker + ": ") + json_text(entry, "content");
}

std::string parts_text(const json::object& parts) {
    std::string out = "      ";
    for (const std::string_view name :
         {"keyword", "vector", "entity", "time", "session", "substance", "graph"}) {
        if (const double value = real(parts, name); value != 0) {
            out += fmt::format(" {} {:.3f}", name, value);
        }
    }
    for (const std::string_view name : {"recency", "importance", "access"}) {
        if (const double value = real(parts, name); value != 1) {
            out += fmt::format(" x{} {:.3f}", name, value);
        }
    }
    const json::value* terms = parts.if_contains("terms");
    if (terms != nullptr && terms->is_array() && !terms->get_array().empty()) {
        out += " words";
        for (const json::value& term : terms->get_array()) {
            out += " " + std::string(term.as_string());
        }
    }
    return out + "\n";
}

}  // namespace

base::Result<std::int64_t> parse_time(std::string_view flag, std::string_view text) {
    int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, used = 0;
    const std::string copy(text);
    const int read = std::sscanf(copy.c_str(), "%4d-%2d-%2d%n", &year, &month, &day, &used);
    bool good = read == 3;
    if (good && static_cast<std::size_t>(used) < copy.size()) {
        const char* rest = copy.c_str() + used;
        int more = 0;
        good = (*rest == 'T' || *rest == ' ') &&
               std::sscanf(rest + 1, "%2d:%2d%n", &hour, &minute, &more) == 2;
        rest += good ? 1 + more : 0;
        if (good && *rest == ':') {
            good = std::sscanf(rest + 1, "%2d%n", &second, &more) == 1;
            rest += good ? 1 + more : 0;
        }
        if (good && *rest == 'Z') ++rest;
        good = good && *rest == '\0';
    }
    using namespace std::chrono;
    const year_month_day date{std::chrono::year(year),
                              std::chrono::month(static_cast<unsigned>(month)),
                              std::chrono::day(static_cast<unsigned>(day))};
    if (!good || !date.ok() || hour > 23 || minute > 59 || second > 59 || hour < 0 || minute < 0 ||
        second < 0) {
        return base::fail_on(std::string(flag), base::Code::invalid_argument,
                             "{} is '{}', expected a date or a time in UTC, as 2026-11-30 or "
                             "2026-11-30T12:00:05",
                             flag, text);
    }
    const auto since =
        sys_days(date).time_since_epoch() + hours(hour) + minutes(minute) + seconds(second);
    return duration_cast<milliseconds>(since).count();
}

std::string time_text(std::int64_t unix_ms) {
    if (unix_ms == 0) return "-";
    using namespace std::chrono;
    const sys_seconds at(floor<seconds>(milliseconds(unix_ms)));
    const auto day = floor<days>(at);
    const year_month_day date(day);
    const hh_mm_ss clock(at - day);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count());
}

std::string answer_text(const json::object& answer, const Terminal& terminal) {
    std::string out;
    for (const json::value& value : data_of(answer)) {
        const json::object& hit = value.as_object();
        const json::object& entry = hit.at("memory").as_object();
        const auto near = [&](std::string_view side) {
            const json::value* entries = hit.if_contains(side);
            if (entries == nullptr) return;
            for (const json::value& one : entries->as_array()) {
                out += terminal.out_styled(Style::dim, "       " + one_line(spoken(one.as_object()),
                                                                            terminal.width() - 8)) +
                       "\n";
            }
        };
        near("before");
        out += fmt::format("{:.3f}  {}\n", real(hit, "score"),
                           one_line(spoken(entry), terminal.width() - 8));
        out +=
            terminal.out_styled(Style::dim, fmt::format("       {}  {}  {}", json_text(entry, "id"),
                                                        time_text(whole(entry, "created_unix_ms")),
                                                        json_text(entry, "type"))) +
            "\n";
        if (const json::value* parts = hit.if_contains("parts")) {
            out += parts_text(parts->as_object());
        }
        near("after");
    }
    if (out.empty()) return "nothing found\n";
    if (const std::string plan = json_text(answer, "plan"); !plan.empty()) {
        out += fmt::format("confidence {:.2f}; {} candidates; {}\n", real(answer, "confidence"),
                           json_count(answer, "candidates"), plan);
    }
    return out;
}

std::string list_text(const json::object& page, const Terminal& terminal) {
    constexpr std::size_t kBefore = 66, kLeast = 30;
    const std::size_t room = std::max(terminal.width(), kBefore + kLeast) - kBefore;
    std::string out;
    for (const json::value& value : data_of(page)) {
        const json::object& entry = value.as_object();
        out += fmt::format("{}  {}  {:<10}  {}\n", json_text(entry, "id"),
                           time_text(whole(entry, "created_unix_ms")), json_text(entry, "type"),
                           one_line(spoken(entry), room));
    }
    return out.empty() ? "no memories\n" : out;
}

std::string entry_text(const json::object& entry) {
    std::string out = spoken(entry) + "\n\n";
    const auto line = [&](std::string_view name, const std::string& text) {
        if (!text.empty() && text != "-") out += fmt::format("{:<12} {}\n", name, text);
    };
    line("id", json_text(entry, "id"));
    line("type", json_text(entry, "type"));
    for (const std::string_view name : {"user", "agent", "session", "run"}) {
        line(name, json_text(entry, name));
    }
    line("happened", time_text(whole(entry, "created_unix_ms")));
    line("valid from", time_text(whole(entry, "valid_from_unix_ms")));
    line("valid to", time_text(whole(entry, "valid_to_unix_ms")));
    line("expires", time_text(whole(entry, "expires_unix_ms")));
    line("importance", fmt::format("{:.2f}", real(entry, "importance")));
    line("found", fmt::format("{} times", json_count(entry, "access_count")));
    line("version", fmt::format("{}", json_count(entry, "version")));
    const json::value* pinned = entry.if_contains("pinned");
    if (pinned != nullptr && pinned->is_bool() && pinned->get_bool()) line("pinned", "yes");
    if (const json::value* metadata = entry.if_contains("metadata");
        metadata != nullptr && metadata->is_object() && !metadata->get_object().empty()) {
        line("metadata", base::to_text(*metadata));
    }
    if (const json::value* sources = entry.if_contains("sources");
        sources != nullptr && sources->is_array() && !sources->get_array().empty()) {
        line("sources", base::to_text(*sources));
    }
    return out;
}

std::string history_text(const json::object& versions) {
    std::string out;
    for (const json::value& value : data_of(versions)) {
        const json::object& version = value.as_object();
        const std::string by = json_text(version, "by");
        out += fmt::format("{:>4}  {}  {:<10} {}{}\n", json_count(version, "version"),
                           time_text(whole(version, "recorded_unix_ms")),
                           json_text(version, "change"), by.empty() ? "" : "by " + by + ": ",
                           one_line(spoken(version.at("memory").as_object()), 100));
    }
    return out;
}

std::string stats_text(const json::object& stats) {
    std::string out;
    for (const std::string_view name :
         {"tenants", "entries", "passages", "versions", "removed", "embeddings_pending",
          "indexes_open", "sessions_compressed", "summaries_by_model", "summaries_picked"}) {
        out += fmt::format("{:<20} {}\n", name, json_count(stats, name));
    }
    if (json_text(stats, "encryption") == "subject" || json_count(stats, "keys") > 0) {
        const auto plain = json_count(stats, "plain");
        out += fmt::format("{:<20} {}, {} keys{}\n", "encryption", json_text(stats, "encryption"),
                           json_count(stats, "keys"),
                           plain > 0 ? fmt::format(", {} still to be sealed", plain) : "");
    }
    if (const std::string error = json_text(stats, "summary_error"); !error.empty()) {
        out += fmt::format("{:<20} {}\n", "summary_error", error);
    }
    for (const std::string_view name : {"truth_bytes", "index_bytes"}) {
        out += fmt::format("{:<20} {}\n", name,
                           format_bytes(static_cast<double>(json_count(stats, name))));
    }
    out += fmt::format("{:<20} {}\n", "truth", json_text(stats, "truth"));
    if (const std::string sessions = json_text(stats, "sessions"); !sessions.empty()) {
        out += fmt::format("{:<20} {}\n", "sessions", sessions);
    }
    const std::string embedder = json_text(stats, "embedder");
    return out + fmt::format("{:<20} {}\n", "embedder", embedder.empty() ? "none" : embedder);
}

}  // namespace app

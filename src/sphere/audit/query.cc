#include "sphere/audit/query.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/files/file_error.h"
#include "base/files/unique_fd.h"
#include "base/json/json.h"
#include "sphere/audit/chain.h"
#include "sphere/audit/segments.h"

namespace sphere::audit {
namespace {

namespace json = base::json;

std::string_view text_of(const json::object& line, std::string_view name) {
    const json::value* value = line.if_contains(name);
    if (value == nullptr || !value->is_string()) return {};
    const json::string& text = value->get_string();
    return {text.data(), text.size()};
}

bool is_or_empty(const std::string& wanted, std::string_view found) {
    return wanted.empty() || wanted == found;
}

bool is_kind(const std::string& wanted, std::string_view found) {
    return wanted.empty() || found == wanted ||
           (found.starts_with(wanted) && found[wanted.size()] == '.');
}

bool matches(const EventFilter& filter, const json::object& line) {
    const json::value* time = line.if_contains("unix_ns");
    const std::int64_t unix_ns =
        time != nullptr && time->is_int64() ? time->get_int64() : std::int64_t{0};
    return unix_ns >= filter.since_unix_ns && unix_ns <= filter.until_unix_ns &&
           is_or_empty(filter.tenant, text_of(line, "tenant")) &&
           is_or_empty(filter.agent, text_of(line, "agent")) &&
           is_or_empty(filter.sandbox, text_of(line, "sandbox")) &&
           is_kind(filter.event, text_of(line, "event"));
}

constexpr std::uint64_t kBlockBytes = 256 << 10;

/// The lines of a file from the last to the first; `each` returns false to end it.
base::Result<void> read_backward(const std::string& path,
                                 const std::function<bool(std::string_view)>& each) {
    const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat facts {};
    if (!file || ::fstat(file.get(), &facts) != 0) return base::fail_errno(errno, "open", path);
    std::uint64_t at = static_cast<std::uint64_t>(facts.st_size);
    std::string text;        // from `at` on, to the start of the last line that was given
    bool unfinished = true;  // what stands behind the last newline is still being written
    while (at > 0) {
        const std::uint64_t size = std::min(kBlockBytes, at);
        std::string block(size, '\0');
        at -= size;
        const ssize_t got = ::pread(file.get(), block.data(), size, static_cast<off_t>(at));
        if (got != static_cast<ssize_t>(size)) {
            return base::fail_errno(got < 0 ? errno : EIO, "read", path);
        }
        text.insert(0, block);
        while (true) {
            const std::size_t end = text.rfind('\n');
            if (end == std::string::npos) break;
            if (!unfinished && !each(std::string_view(text).substr(end + 1))) return {};
            unfinished = false;
            text.resize(end);
        }
        if (text.size() > LineReader::kLineBytesMax) {
            return base::fail_on(path, base::Code::data_loss, "{} has a line over {} bytes", path,
                                 LineReader::kLineBytesMax);
        }
    }
    if (!unfinished && !text.empty()) each(text);
    return {};
}

}  // namespace

base::Result<RecentEvents> recent_events(const std::string& dir, const RecentQuery& query) {
    RecentEvents recent;
    auto segments = DG_TRY(list_segments(dir));
    std::erase_if(segments, [&](const Segment& s) { return s.first_seq >= query.before_seq; });
    std::uint64_t bytes = 0;
    const auto look_at = [&](std::string_view line) {
        const auto parsed = base::parse_json(line);
        const json::value* seq =
            parsed && parsed->is_object() ? parsed->get_object().if_contains("seq") : nullptr;
        if (seq == nullptr || !seq->is_int64()) return true;  // damaged: verify judges it
        const auto number = static_cast<std::uint64_t>(seq->get_int64());
        if (number >= query.before_seq) return true;
        if (number <= query.filter.after_seq) return false;
        if (recent.lines.size() >= query.lines_max || bytes >= query.bytes_max) {
            recent.more = true;
            return false;
        }
        bytes += line.size();
        recent.oldest_seq = number;
        if (matches(query.filter, parsed->get_object())) recent.lines.emplace_back(line);
        return true;
    };
    bool ended = false;
    for (auto segment = segments.rbegin(); segment != segments.rend() && !ended; ++segment) {
        DG_TRY(read_backward(segment->path, [&](std::string_view line) {
            ended = !look_at(line);
            return !ended;
        }));
    }
    return recent;
}

base::Result<std::uint64_t> find_events(const std::string& dir, const EventFilter& filter,
                                        const std::function<bool(std::string_view line)>& each) {
    const auto segments = DG_TRY(list_segments(dir));
    std::uint64_t damaged = 0;
    // Whole segments before after_seq are not read.
    auto segment =
        std::ranges::upper_bound(segments, filter.after_seq + 1, {}, &Segment::first_seq);
    if (segment != segments.begin()) --segment;
    for (; segment != segments.end(); ++segment) {
        LineReader reader = DG_TRY(LineReader::open(segment->path));
        while (const auto line = DG_TRY(reader.next())) {
            const auto chained = open_line(*line);
            const auto parsed = base::parse_json(*line);
            if (!chained || !parsed || !parsed->is_object()) {
                ++damaged;
                continue;
            }
            if (chained->seq <= filter.after_seq) continue;
            if (matches(filter, parsed->get_object()) && !each(*line)) return damaged;
        }
    }
    return damaged;
}

}  // namespace sphere::audit

#include "sphere/audit/event.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/json/json_text.h"
#include "sphere/audit/redactor.h"

namespace sphere::audit {
namespace {

/// Writes members one after the other; nothing for empty ones.
class Members {
public:
    explicit Members(const Redactor& redactor) : redactor_(redactor) {}

    void text(std::string_view name, std::string_view value) {
        if (value.empty()) return;
        key(name);
        string(value);
    }
    void number(std::string_view name, std::uint64_t value) {
        key(name);
        fmt::format_to(std::back_inserter(out_), "{}", value);
    }
    void count(std::string_view name, std::uint64_t value) {
        if (value != 0) number(name, value);
    }
    void real(std::string_view name, double value) {
        key(name);
        fmt::format_to(std::back_inserter(out_), "{}", value);
    }
    void flag(std::string_view name, bool value) {
        key(name);
        out_ += value ? "true" : "false";
    }
    void key(std::string_view name) {
        if (!out_.empty() && out_.back() != '{') out_ += ',';
        base::append_json_string(out_, name);
        out_ += ':';
    }
    void string(std::string_view value) {
        const std::string clean = redactor_.apply(value);
        if (clean.size() <= kTextBytesMax) return base::append_json_string(out_, clean);
        const std::string_view kept(clean.data(), kTextBytesMax);
        base::append_json_string(out_, fmt::format("{} [cut, {} bytes]", kept, clean.size()));
    }
    template <class Items, class Write>
    void list(std::string_view name, const Items& items, Write write) {
        if (items.empty()) return;
        key(name);
        out_ += '[';
        for (std::size_t i = 0; i < std::min(items.size(), kListMax); ++i) {
            if (i != 0) out_ += ',';
            write(items[i]);
        }
        out_ += ']';
    }
    void open() { out_ += '{'; }
    void close() { out_ += '}'; }
    std::string take() { return std::move(out_); }

private:
    const Redactor& redactor_;
    std::string out_;
};

std::uint64_t beyond(std::size_t listed, std::uint64_t more) {
    return more + (listed > kListMax ? listed - kListMax : 0);
}

void write_limits(Members& out, const Limits& limits) {
    out.key("limits");
    out.open();
    out.real("cpus", limits.cpus);
    out.number("memory_bytes", limits.memory_bytes);
    out.number("processes_max", limits.processes_max);
    out.number("workspace_bytes", limits.workspace_bytes);
    out.number("tmp_bytes", limits.tmp_bytes);
    out.number("inodes_max", limits.inodes_max);
    out.number("open_files_max", limits.open_files_max);
    out.number("lifetime_ms", static_cast<std::uint64_t>(limits.lifetime.count()));
    out.number("idle_timeout_ms", static_cast<std::uint64_t>(limits.idle_timeout.count()));
    if (limits.gpu_share != 0) out.real("gpu_share", limits.gpu_share);
    out.close();
}

void write_ending(Members& out, const Ending& ending) {
    out.key("exit");
    out.open();
    out.text("reason", ending.reason);
    out.number("code", static_cast<std::uint64_t>(std::max(ending.exit_code, 0)));
    out.count("signal", static_cast<std::uint64_t>(std::max(ending.signal, 0)));
    out.number("output_bytes", ending.output_bytes);
    out.count("output_dropped", ending.output_dropped);
    out.number("wall_us", ending.wall_us);
    out.number("cpu_us", ending.cpu_us);
    out.count("peak_memory_bytes", ending.peak_memory_bytes);
    out.close();
}

void write_attempt(Members& out, const NetworkAttempt& attempt) {
    out.open();
    out.text("target", attempt.target);
    out.text("protocol", attempt.protocol);
    out.flag("allowed", attempt.allowed);
    out.text("reason", attempt.reason);
    out.count("bytes_out", attempt.bytes_out);
    out.count("bytes_in", attempt.bytes_in);
    out.close();
}

void write_details(Members& out, const std::map<std::string, std::string>& details) {
    if (details.empty()) return;
    out.key("details");
    out.open();
    std::size_t written = 0;
    for (const auto& [name, value] : details) {
        if (++written > kListMax) break;
        out.key(name.size() <= kTextBytesMax ? std::string_view(name)
                                             : std::string_view(name).substr(0, kTextBytesMax));
        out.string(value);
    }
    out.close();
}

}  // namespace

std::string event_members(const AuditEvent& event, const Redactor& redactor) {
    Members out(redactor);
    out.text("event", event.event);
    out.text("tenant", event.tenant);
    out.text("agent", event.agent);
    out.text("actor", event.actor);
    out.text("sandbox", event.sandbox);
    out.text("backend", event.backend);
    out.text("what", event.what);
    out.text("decision", event.decision);
    out.text("policy", event.policy);
    out.text("rule", event.rule);
    out.text("reason", event.reason);
    if (event.limits) write_limits(out, *event.limits);
    if (event.ending) write_ending(out, *event.ending);
    if (event.bytes_in) out.number("bytes_in", *event.bytes_in);
    if (event.bytes_out) out.number("bytes_out", *event.bytes_out);
    out.list("files_changed", event.files_changed, [&](const std::string& f) { out.string(f); });
    out.count("files_changed_more", beyond(event.files_changed.size(), event.files_changed_more));
    out.list("network", event.network, [&](const NetworkAttempt& a) { write_attempt(out, a); });
    out.count("network_more", beyond(event.network.size(), event.network_more));
    write_details(out, event.details);
    return out.take();
}

}  // namespace sphere::audit

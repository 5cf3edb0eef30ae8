// dougong audit: check the record of what ran, and read it.
#include <fmt/format.h>

#include <charconv>
#include <ctime>

#include "app/commands/commands.h"
#include "app/terminal/terminal.h"
#include "base/json/json.h"
#include "sphere/audit/query.h"
#include "sphere/audit/verify.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

json::object report_json(const sphere::audit::VerifyReport& report) {
    json::array faults;
    for (const auto& fault : report.faults) {
        faults.push_back({{"kind", sphere::audit::fault_name(fault.kind)},
                          {"file", fault.file},
                          {"line", fault.line},
                          {"text", fault.text}});
    }
    return {{"ok", report.ok()},
            {"segments", report.segments},
            {"lines", report.lines},
            {"head", sphere::audit::head_text(report.head)},
            {"unfinished_bytes", report.unfinished_bytes},
            {"faults", std::move(faults)}};
}

void print_report(const Terminal& terminal, const sphere::audit::VerifyReport& report) {
    for (const auto& fault : report.faults) {
        const std::string at =
            fault.line == 0 ? fault.file : fmt::format("{}:{}", fault.file, fault.line);
        terminal.out(
            fmt::format("{}: {}: {}\n", at, sphere::audit::fault_name(fault.kind), fault.text));
    }
    terminal.out(fmt::format("{} events in {} files\nhead {}\n", report.lines, report.segments,
                             sphere::audit::head_text(report.head)));
    if (report.unfinished_bytes != 0) {
        terminal.err(fmt::format("{} bytes of an unfinished line at the end, never acknowledged\n",
                                 report.unfinished_bytes));
    }
}

Result<int> verify(const Args& args, Program& program) {
    std::optional<sphere::audit::ChainHead> expected;
    if (const auto text = args.value("--head")) {
        expected = DG_TRY(sphere::audit::parse_head(*text));
    }
    const std::string dir = *args.value("DIR");
    const auto report = DG_TRY(sphere::audit::verify(dir, expected));
    if (args.has("--json")) {
        program.terminal.out(base::to_text(report_json(report)) + "\n");
    } else {
        print_report(program.terminal, report);
    }
    if (report.ok()) return 0;
    return base::fail(Code::data_loss, "{}: the record was changed ({} faults)", dir,
                      report.faults.size());
}

/// Seconds since 1970, a date, a time of UTC, or an age: 90s, 15m, 2h, 7d.
Result<std::int64_t> parse_since(const std::string& text, const base::Clock& clock) {
    constexpr std::int64_t kSecond = 1'000'000'000;
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    const bool in_range = error == std::errc() && number >= 0 && number < 9'000'000'000;
    if (in_range && rest == end) return number * kSecond;
    if (in_range && rest + 1 == end) {
        const std::int64_t unit = *rest == 's'   ? 1
                                  : *rest == 'm' ? 60
                                  : *rest == 'h' ? 3600
                                  : *rest == 'd' ? 86'400
                                                 : 0;
        if (unit != 0 && number < 1'000'000'000 / unit) {
            return clock.unix_ns() - number * unit * kSecond;
        }
    }
    for (const char* format : {"%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"}) {
        std::tm utc{};
        const char* const parsed = ::strptime(text.c_str(), format, &utc);
        if (parsed != nullptr && *parsed == '\0') return ::timegm(&utc) * kSecond;
    }
    return base::fail_on("--since", Code::invalid_argument,
                         "--since is '{}', expected an age (15m, 2h, 7d), a date or time of UTC "
                         "(2026-01-31T08:00:00Z), or seconds since 1970",
                         text);
}

std::string_view text_of(const json::object& line, std::string_view name) {
    const json::value* value = line.if_contains(name);
    if (value == nullptr || !value->is_string()) return "-";
    return {value->get_string().data(), value->get_string().size()};
}

/// A name or an output of a sandbox must not steer the reader's terminal.
std::string plain(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7F) {
            out += fmt::format("\\x{:02x}", byte);
        } else {
            out += c;
        }
    }
    return out;
}

std::string people_line(std::string_view line) {
    const auto parsed = base::parse_json(line);
    if (!parsed || !parsed->is_object()) return "";
    const json::object& object = parsed->get_object();
    const std::time_t seconds = object.at("unix_ns").to_number<std::int64_t>() / 1'000'000'000;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    char stamp[32];
    std::strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ", &utc);
    std::string out =
        fmt::format("{:>6} {} {:<18} {} {} {}", object.at("seq").to_number<std::uint64_t>(), stamp,
                    text_of(object, "event"), text_of(object, "tenant"), text_of(object, "sandbox"),
                    text_of(object, "what"));
    for (const std::string_view name : {"decision", "rule", "reason"}) {
        if (object.contains(name)) out += fmt::format("  {}: {}", name, text_of(object, name));
    }
    if (const json::value* ending = object.if_contains("exit"); ending && ending->is_object()) {
        out += fmt::format("  exit: {}", base::to_text(*ending));
    }
    return plain(out) + "\n";
}

Result<int> show(const Args& args, Program& program) {
    sphere::audit::EventFilter filter;
    filter.tenant = args.value("--tenant").value_or("");
    filter.agent = args.value("--agent").value_or("");
    filter.sandbox = args.value("--sandbox").value_or("");
    filter.event = args.value("--event").value_or("");
    if (const auto since = args.value("--since")) {
        filter.since_unix_ns = DG_TRY(parse_since(*since, program.clock));
    }
    const bool as_json = args.has("--json");
    const std::string dir = *args.value("DIR");
    const std::uint64_t damaged =
        DG_TRY(sphere::audit::find_events(dir, filter, [&](std::string_view line) {
            return program.terminal.out(as_json ? std::string(line) + "\n" : people_line(line));
        }));
    if (damaged != 0) {
        program.terminal.err(
            fmt::format("{} damaged lines were passed over: run dougong audit "
                        "verify {}\n",
                        damaged, dir));
    }
    return 0;
}

}  // namespace

Command audit_command() {
    return {.name = "audit",
            .summary = "check and read the record of what sandboxes did",
            .about =
                "The record is a folder of hash-chained JSON lines. Any line that was removed, "
                "altered or moved is found; an end that was cut off too, by the head file, or "
                "by a head that was kept elsewhere (--head).",
            .positionals = {},
            .options = {},
            .examples = {{"dougong audit show audit/ --event tool_rejected", "What was refused."}},
            .config_sections = {},
            .run = nullptr,
            .subcommands = {
                {.name = "verify",
                 .summary = "find what was removed, altered or cut off",
                 .about = "Reads every line and names file and line of each fault. Exit status: 0 "
                          "when the record is whole.",
                 .positionals = {{"DIR", "Folder of the record.", true}},
                 .options = {{"--head", "SEQ:HASH", "A head printed earlier; it must be in there."},
                             {"--json", "", "Print one JSON object."}},
                 .examples = {{"dougong audit verify audit/", "Check a record."}},
                 .config_sections = {},
                 .run = verify,
                 .subcommands = {}},
                {.name = "show",
                 .summary = "print events, oldest first",
                 .about = "Filters combine. --event exec also finds exec.start and exec.end.",
                 .positionals = {{"DIR", "Folder of the record.", true}},
                 .options = {{"--tenant", "NAME", "Only of this tenant."},
                             {"--agent", "NAME", "Only of this agent."},
                             {"--sandbox", "ID", "Only of this sandbox."},
                             {"--event", "KIND", "Only of this kind."},
                             {"--since", "TIME",
                              "An age (15m, 2h, 7d), a UTC time, or seconds "
                              "since 1970."},
                             {"--json", "", "Print the lines as they are."}},
                 .examples = {{"dougong audit show audit/ --since 1h", "What happened lately."}},
                 .config_sections = {},
                 .run = show,
                 .subcommands = {}}}};
}

}  // namespace app

#include "sphere/backends/criu.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "sphere/guest/spawn.h"

namespace sphere::backends {
namespace {

constexpr int kVersionMin = 4;
constexpr int kAnswerMs = 5'000;
constexpr std::size_t kShownMax = 160;

/// "Version: 4.2" among its lines; 0: it names none.
int major_version(std::string_view text) {
    const std::size_t at = text.find("Version: ");
    if (at == text.npos) return 0;
    text.remove_prefix(at + 9);
    int major = 0;
    std::from_chars(text.data(), text.data() + text.size(), major);
    return major;
}

/// The last line that is not empty: criu says there what is wrong.
std::string last_line(std::string_view text) {
    while (text.ends_with('\n') || text.ends_with(' ')) text.remove_suffix(1);
    std::string line(text.substr(text.rfind('\n') + 1).substr(0, kShownMax));
    std::ranges::replace_if(
        line, [](char c) { return c < ' ' || c > '~'; }, '?');
    return line.empty() ? "it said nothing" : line;
}

}  // namespace

HostFact judge_criu(const std::string& program, const std::string& version_text, bool check_passed,
                    const std::string& check_text) {
    HostFact fact{"memory snapshots", Finding::missing, "no criu", ""};
    constexpr std::string_view kInstead = "live forks of sessions and snapshots of files need none";
    if (program.empty()) {
        fact.consequence = kInstead;
        return fact;
    }
    const int major = major_version(version_text);
    fact.detail =
        fmt::format("{}, version {}", program, major == 0 ? "unknown" : std::to_string(major));
    if (major < kVersionMin) {
        fact.consequence =
            fmt::format("criu {} or later knows this kernel's layouts; {}", kVersionMin, kInstead);
    } else if (!check_passed) {
        fact.consequence = fmt::format("criu check fails: {}; {}", last_line(check_text), kInstead);
    } else {
        fact.finding = Finding::works;
        fact.detail += "; criu check passes; no backend uses it yet";
    }
    return fact;
}

HostFact criu_fact() {
    const std::string program = guest::find_program("criu");
    if (program.empty()) return judge_criu("", "", false, "");
    const auto version = guest::run_and_listen({program, {"--version"}, {}}, kAnswerMs);
    const auto check = guest::run_and_listen({program, {"check"}, {}}, kAnswerMs);
    return judge_criu(program, version ? version->text : "", check && check->wait_status == 0,
                      check ? check->text : check.error().message);
}

}  // namespace sphere::backends

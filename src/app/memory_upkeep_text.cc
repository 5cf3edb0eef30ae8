// Receipts and plans as people read them.
#include <fmt/format.h>

#include <map>

#include "app/memory_text.h"
#include "app/server_client.h"

namespace app {
namespace {

namespace json = base::json;

constexpr std::size_t kLinesMax = 20;

std::int64_t time_of(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_number() ? value->to_number<std::int64_t>() : 0;
}

const json::array& list(const json::object& object, std::string_view name) {
    static const json::array kNone;
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_array() ? value->get_array() : kNone;
}

/// "3 memories, 1 facts"; kinds without any are left out.
std::string counts_text(const json::object& object) {
    std::string out;
    const json::value* counts = object.if_contains("counts");
    if (counts == nullptr || !counts->is_object()) return "nothing";
    for (const auto& field : counts->get_object()) {
        const auto count = field.value().to_number<std::uint64_t>();
        if (count == 0) continue;
        std::string kind(field.key());
        for (char& c : kind) c = c == '_' ? ' ' : c;
        out += fmt::format("{}{} {}", out.empty() ? "" : ", ", count, kind);
    }
    return out.empty() ? "nothing" : out;
}

}  // namespace

std::string forget_text(const json::object& preview) {
    std::string out = "would forget: " + counts_text(preview) + "\n";
    std::string names;
    for (const json::value& name : list(preview, "names")) {
        names += (names.empty() ? "" : ", ") + std::string(name.as_string());
    }
    if (!names.empty()) out += "names that mean it: " + names + "\n";
    std::size_t lines = 0;
    for (const json::value& one : list(preview, "memories")) {
        if (++lines > kLinesMax) break;
        out += fmt::format("  {}  {}\n", json_text(one.as_object(), "id"),
                           json_text(one.as_object(), "why"));
    }
    if (lines > kLinesMax) out += "  ... all of them with --json\n";
    return out;
}

std::string receipt_text(const json::object& receipt) {
    const auto line = [](std::string_view name, const std::string& text) {
        return fmt::format("{:<14} {}\n", name, text);
    };
    const std::string by = json_text(receipt, "by");
    std::string out =
        line("receipt", json_text(receipt, "id")) + line("forgotten", counts_text(receipt)) +
        line("asked", time_text(time_of(receipt, "requested_unix_ms")) +
                          (by.empty() ? "" : " by " + by) + ", by " + json_text(receipt, "kind")) +
        line("unfindable", time_text(time_of(receipt, "hidden_unix_ms"))) +
        line("deadline", time_text(time_of(receipt, "deadline_unix_ms"))) +
        line("ids sha256", json_text(receipt, "ids_sha256"));
    if (const std::int64_t since = time_of(receipt, "unreadable_unix_ms"); since != 0) {
        out += line("unreadable", time_text(since) + ": its keys are erased");
    }
    if (json_text(receipt, "status") != "done") {
        return out + line("erased", "not yet; see it with: dougong memory receipts " +
                                        json_text(receipt, "id"));
    }
    out += line("erased", time_text(time_of(receipt, "done_unix_ms")));
    const json::object& scan = receipt.at("scan").as_object();
    return out +
           line("checked", scan.at("files_scanned").as_bool()
                               ? fmt::format("{} bytes of {} files, {} pieces looked for, {} found",
                                             json_count(scan, "bytes"), json_count(scan, "files"),
                                             json_count(scan, "needles"), json_count(scan, "hits"))
                               : fmt::format("rows alone, {} left; the files are the database "
                                             "server's",
                                             json_count(scan, "rows_left")));
}

std::string plan_text(const json::object& preview) {
    std::string out = fmt::format(
        "would leave {} of {} memories, {} of {} tokens: {} stay, {} summaries, {} go\n",
        json_count(preview, "entries_after"), json_count(preview, "entries_before"),
        json_count(preview, "tokens_after"), json_count(preview, "tokens_before"),
        json_count(preview, "kept"), json_count(preview, "summaries"),
        json_count(preview, "dropped"));
    std::size_t lines = 0;
    for (const json::value& one : list(preview, "merge")) {
        if (++lines > kLinesMax) break;
        out += fmt::format("  {} become: {}\n", list(one.as_object(), "ids").size(),
                           json_text(one.as_object(), "summary"));
    }
    std::map<std::string, std::size_t> reasons;
    for (const json::value& one : list(preview, "drop")) {
        ++reasons[json_text(one.as_object(), "reason")];
    }
    for (const auto& [reason, count] : reasons) out += fmt::format("  {} go: {}\n", count, reason);
    return out;
}

std::string compression_text(const json::object& compression) {
    const std::int64_t undone = time_of(compression, "undone_unix_ms");
    const auto by_model = json_count(compression, "summaries_by_model");
    const std::string error = json_text(compression, "summary_error");
    return fmt::format(
        "{}  {} of {} memories, {} of {} tokens left; {}{}{}\n", json_text(compression, "id"),
        json_count(compression, "entries_after"), json_count(compression, "entries_before"),
        json_count(compression, "tokens_after"), json_count(compression, "tokens_before"),
        undone != 0
            ? "taken back " + time_text(undone)
            : "can be taken back until " + time_text(time_of(compression, "undo_until_unix_ms")),
        by_model > 0 ? fmt::format("; {} summaries by the model", by_model) : "",
        error.empty() ? "" : "; some were picked, because " + error);
}

}  // namespace app

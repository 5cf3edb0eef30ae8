#include "app/commands/mcp_person.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/server_client.h"
#include "app/terminal/line_editor.h"

namespace app {
namespace {

namespace json = base::json;
using base::Code;
using base::Result;

/// From a stranger, so without what moves a terminal's cursor.
std::string plain(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        out += byte == '\n' || byte >= 0x80 || (byte >= ' ' && byte != 0x7f) ? c : ' ';
    }
    return out;
}

/// The values a field may have, when they are told.
std::vector<std::string> choices_of(const json::object& rule) {
    std::vector<std::string> out;
    if (const json::value* words = rule.if_contains("enum"); words && words->is_array()) {
        for (const json::value& word : words->get_array()) {
            if (word.is_string()) out.emplace_back(word.get_string());
        }
    }
    if (const json::value* named = rule.if_contains("oneOf"); named && named->is_array()) {
        for (const json::value& one : named->get_array()) {
            if (one.is_object()) out.push_back(json_text(one.get_object(), "const"));
        }
    }
    return out;
}

std::string hint_of(const json::object& rule) {
    std::string out = json_text(rule, "type");
    std::string words;
    for (const std::string& word : choices_of(rule)) words += (words.empty() ? "" : " | ") + word;
    if (!words.empty()) out = words;
    if (const json::value* otherwise = rule.if_contains("default")) {
        out += ", else " + json::serialize(*otherwise);
    }
    return out;
}

}  // namespace

std::optional<json::value> form_value(const json::object& rule, std::string_view text) {
    const std::string type = json_text(rule, "type");
    if (type == "boolean") {
        for (const char* word : {"y", "yes", "true"}) {
            if (text == word) return json::value(true);
        }
        for (const char* word : {"n", "no", "false"}) {
            if (text == word) return json::value(false);
        }
        return std::nullopt;
    }
    if (type == "string" || type.empty()) {
        const auto choices = choices_of(rule);
        if (choices.empty() || std::ranges::find(choices, text) != choices.end()) {
            return json::value(text);
        }
        return std::nullopt;
    }
    const auto value = base::parse_json(text);
    if (!value) return std::nullopt;
    const bool whole = value->is_int64() || value->is_uint64();
    const bool fits = (type == "integer" && whole) || (type == "number" && value->is_number()) ||
                      (type == "array" && value->is_array()) ||
                      (type == "object" && value->is_object()) ||
                      (type == "null" && value->is_null());
    if (!fits) return std::nullopt;
    return *value;
}

json::object McpPerson::capabilities() const {
    if (!terminal_.stdin_is_terminal()) return {};
    return {{"elicitation", {{"form", json::object()}, {"url", json::object()}}}};
}

json::object McpPerson::ask_form(const json::object& form) {
    LineEditor editor(terminal_, "");
    json::object content;
    const json::value* fields = form.if_contains("properties");
    if (fields == nullptr || !fields->is_object()) return {{"action", "accept"}};
    for (const auto& [name, value] : fields->get_object()) {
        const json::object rule = value.is_object() ? value.get_object() : json::object();
        if (const std::string about = json_text(rule, "description"); !about.empty()) {
            terminal_.err("  " + plain(about) + "\n");
        }
        for (;;) {
            std::string line;
            const auto got =
                editor.read(fmt::format("  {} ({}): ", plain(name), plain(hint_of(rule))), line);
            if (got == LineEditor::Got::interrupted) return {{"action", "cancel"}};
            if (got == LineEditor::Got::end) return {{"action", "decline"}};
            if (line.empty()) break;
            if (auto typed = form_value(rule, line)) {
                content[name] = *std::move(typed);
                break;
            }
            terminal_.err("  not such a value; empty leaves it out, Ctrl-D declines all\n");
        }
    }
    return {{"action", "accept"}, {"content", std::move(content)}};
}

Result<json::object> McpPerson::answer(std::string_view method, const json::object& params,
                                       const agent::mcp::Stop&) {
    if (method != "elicitation/create") {
        return base::fail(Code::unimplemented, "nobody here answers {}", method);
    }
    const std::lock_guard one_at_a_time(asking_);
    terminal_.err(fmt::format("the server asks: {}\n", plain(json_text(params, "message"))));
    if (json_text(params, "mode") == "url") {
        terminal_.err(fmt::format("  it wants you to visit this page, if you trust it: {}\n",
                                  plain(json_text(params, "url"))));
        LineEditor editor(terminal_, "");
        std::string line;
        const bool agreed =
            editor.read("  visit it, then Enter; Ctrl-D declines: ", line) == LineEditor::Got::line;
        return json::object{{"action", agreed ? "accept" : "decline"}};
    }
    const json::value* form = params.if_contains("requestedSchema");
    if (form == nullptr || !form->is_object()) {
        return base::fail(Code::invalid_argument, "the server asks without a form");
    }
    return ask_form(form->get_object());
}

void McpPerson::log(const json::object& entry) {
    const json::value* data = entry.if_contains("data");
    const std::string said = data == nullptr     ? ""
                             : data->is_string() ? std::string(data->get_string())
                                                 : json::serialize(*data);
    terminal_.err(plain(fmt::format("{}: {}", json_text(entry, "level"), said)) + "\n");
}

void McpPerson::warn(std::string_view what) {
    terminal_.err(plain(what) + "\n");
}

void McpPerson::progress(const json::object& progress) {
    if (!terminal_.stderr_is_terminal()) return;
    std::string line;
    for (const char* name : {"progress", "total"}) {
        const json::value* number = progress.if_contains(name);
        if (number == nullptr || !number->is_number()) continue;
        line += (line.empty() ? "" : " of ") + base::to_text(*number);
    }
    terminal_.err(plain(line + "  " + json_text(progress, "message")) + "\n");
}

}  // namespace app

#include "app/chat/conversation.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "base/core/nearest.h"

namespace app {
namespace {

using base::Code;
using base::fail;
using base::Result;
namespace json = base::json;

/// A setting as a number; every one of them fits a double.
struct Setting {
    std::string_view name;
    double min, max;
    bool whole;
    double (*get)(const Question&);
    void (*set)(Question&, double);
};

#define DG_SAMPLING(field, type)                                             \
    [](const Question& q) { return static_cast<double>(q.sampling.field); }, \
        [](Question& q, double value) { q.sampling.field = static_cast<type>(value); }

constexpr std::array<Setting, 9> kSettings = {{
    {"temperature", 0, 10, false, DG_SAMPLING(temperature, float)},
    {"top_p", 0, 1, false, DG_SAMPLING(top_p, float)},
    {"top_k", 0, 1e6, true, DG_SAMPLING(top_k, std::uint32_t)},
    {"min_p", 0, 1, false, DG_SAMPLING(min_p, float)},
    {"repetition_penalty", 0.01, 10, false, DG_SAMPLING(repetition_penalty, float)},
    {"presence_penalty", -2, 2, false, DG_SAMPLING(presence_penalty, float)},
    {"frequency_penalty", -2, 2, false, DG_SAMPLING(frequency_penalty, float)},
    {"seed", 0, 4294967295.0, true,
     [](const Question& q) { return static_cast<double>(q.sampling.seed.value_or(0)); },
     [](Question& q, double value) { q.sampling.seed = static_cast<std::uint64_t>(value); }},
    {"max_tokens", 0, 1e6, true,
     [](const Question& q) { return static_cast<double>(q.max_tokens); },
     [](Question& q, double value) { q.max_tokens = static_cast<std::uint32_t>(value); }},
}};

#undef DG_SAMPLING

std::string known_settings() {
    std::string names;
    for (const Setting& setting : kSettings) {
        names += fmt::format("{}{}", names.empty() ? "" : ", ", setting.name);
    }
    return names;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::string string_field(const json::object& object, std::string_view key) {
    const json::value* value = object.if_contains(key);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

bool has_role(const json::value& turn, std::string_view role) {
    return string_field(turn.get_object(), "role") == role;
}

}  // namespace

void Conversation::add(std::string_view role, std::string text) {
    turns_.push_back(json::object{{"role", role}, {"content", std::move(text)}});
}

bool Conversation::drop_answer() {
    if (turns_.empty() || !has_role(turns_.back(), "assistant")) return false;
    turns_.pop_back();
    return true;
}

bool Conversation::undo() {
    drop_answer();
    if (turns_.empty()) return false;
    turns_.pop_back();
    return true;
}

json::array Conversation::messages() const {
    json::array all;
    if (!system_.empty()) all.push_back(json::object{{"role", "system"}, {"content", system_}});
    for (const json::value& turn : turns_) all.push_back(turn);
    return all;
}

std::string Conversation::to_json() const {
    return base::to_text(json::object{{"messages", messages()}}) + "\n";
}

Result<Conversation> Conversation::from_json(std::string_view text) {
    const json::value parsed = DG_TRY(base::parse_json(text));
    const json::value* messages =
        parsed.is_object() ? parsed.get_object().if_contains("messages") : nullptr;
    if (messages == nullptr || !messages->is_array()) {
        return fail(Code::invalid_argument, "not a conversation: there is no list 'messages'");
    }
    Conversation conversation;
    for (std::size_t i = 0; i < messages->get_array().size(); ++i) {
        const json::value& message = messages->get_array()[i];
        const std::string role =
            message.is_object() ? string_field(message.get_object(), "role") : "";
        const bool text_content = message.is_object() && message.get_object().contains("content") &&
                                  message.get_object().at("content").is_string();
        if (!text_content || (role != "system" && role != "user" && role != "assistant")) {
            return fail(Code::invalid_argument,
                        "messages[{}] needs a role (system, user, assistant) and text as content",
                        i);
        }
        std::string content = string_field(message.get_object(), "content");
        if (role == "system") {
            conversation.set_system(std::move(content));
        } else {
            conversation.add(role, std::move(content));
        }
    }
    return conversation;
}

std::optional<SlashCommand> parse_slash(std::string_view line) {
    if (!line.starts_with('/') || line.starts_with("//")) return std::nullopt;
    line.remove_prefix(1);
    const std::size_t space = std::min(line.find_first_of(" \t\n"), line.size());
    return SlashCommand{std::string(line.substr(0, space)), std::string(trim(line.substr(space)))};
}

std::string plain_text(std::string_view line) {
    return std::string(line.starts_with("//") ? line.substr(1) : line);
}

Result<void> apply_setting(Question& question, std::string_view text) {
    text = trim(text);
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view name = text.substr(0, space), value = trim(text.substr(space));
    for (const Setting& setting : kSettings) {
        if (setting.name != name) continue;
        double number = 0;
        const auto [rest, error] =
            std::from_chars(value.data(), value.data() + value.size(), number);
        const bool complete = error == std::errc{} && rest == value.data() + value.size();
        const bool fits =
            number >= setting.min && number <= setting.max &&
            (!setting.whole || number == static_cast<double>(static_cast<std::int64_t>(number)));
        if (!complete || !fits) {
            return fail(Code::invalid_argument, "{} is '{}', expected a {} from {} to {}", name,
                        value, setting.whole ? "whole number" : "number", setting.min, setting.max);
        }
        setting.set(question, number);
        return {};
    }
    return fail(Code::invalid_argument, "there is no setting '{}'; there are {}", name,
                known_settings());
}

std::string settings_text(const Question& question) {
    std::string text;
    for (const Setting& setting : kSettings) {
        if (setting.name == "seed" && !question.sampling.seed) {
            text += "  seed random\n";
            continue;
        }
        text += fmt::format("  {} {:.6g}\n", setting.name, setting.get(question));
    }
    return text;
}

std::optional<std::string> InputJoiner::feed(std::string_view line) {
    constexpr std::string_view kFence = "\"\"\"";
    if (in_block_) {
        const std::size_t fence = line.find(kFence);
        text_ += line.substr(0, fence);
        if (fence == std::string_view::npos) {
            text_ += '\n';
            return std::nullopt;
        }
        in_block_ = false;
        while (text_.ends_with('\n')) text_.pop_back();
        return std::exchange(text_, {});
    }
    if (text_.empty() && line.starts_with(kFence)) {
        in_block_ = true;
        line.remove_prefix(kFence.size());
        return line.empty() ? std::nullopt : feed(line);
    }
    const bool goes_on = line.ends_with('\\');
    if (goes_on) line.remove_suffix(1);
    text_ += line;
    if (!goes_on) return std::exchange(text_, {});
    text_ += '\n';
    return std::nullopt;
}

void InputJoiner::clear() {
    text_.clear();
    in_block_ = false;
}

std::string InputJoiner::take_rest() {
    in_block_ = false;
    return std::exchange(text_, {});
}

}  // namespace app

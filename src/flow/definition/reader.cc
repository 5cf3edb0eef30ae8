#include "flow/definition/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <tuple>

#include "flow/definition/duration.h"

namespace flow {

using base::Node;

namespace {

constexpr std::size_t kFaultsMax = 200;

/// The parsers of templates say where in their message: "line 1, column 4: what".
struct Told {
    std::uint32_t line = 1, column = 1;
    std::string what;
};

Told take_place(const std::string& message) {
    Told told;
    int used = 0;
    if (std::sscanf(message.c_str(), "line %u, column %u: %n", &told.line, &told.column, &used) ==
            2 &&
        used > 0) {
        told.what = message.substr(static_cast<std::size_t>(used));
    } else {
        told = {1, 1, message};
    }
    return told;
}

/// Where the expression begins within a text that is one `{{ ... }}`; all of it without braces.
struct Inside {
    std::string_view text;
    std::size_t offset = 0;
};

Inside without_braces(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return {text, 0};
    const std::size_t end = text.find_last_not_of(kBlank) + 1;
    if (end - begin >= 4 && text.substr(begin, 2) == "{{" && text.substr(end - 2, 2) == "}}") {
        return {text.substr(begin + 2, end - begin - 4), begin + 2};
    }
    return {text, 0};
}

}  // namespace

Reader::Reader(std::string_view text, bool json) : json_(json) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1);
        lines_.push_back(text.substr(0, text[end] == '\n' ? end : end + 1));
        text.remove_prefix(end + 1);
    }
}

bool Reader::full() const {
    return faults.size() >= kFaultsMax;
}

void Reader::fault_at(std::uint32_t line, std::uint32_t column, const std::string& path,
                      std::string message) {
    if (!full()) faults.push_back({line, column, path, std::move(message)});
}

void Reader::fault(const Node& node, const std::string& path, std::string message) {
    fault_at(node.line, node.column, path, std::move(message));
}

std::string Reader::words(const std::string& path) const {
    if (step.empty()) return path;
    if (!path.starts_with(step_path + ".")) return fmt::format("{} of step '{}'", path, step);
    return fmt::format("{} of step '{}'", path.substr(step_path.size() + 1), step);
}

std::pair<std::uint32_t, std::uint32_t> Reader::within(const Node& node, std::uint32_t line,
                                                       std::uint32_t column) const {
    if (node.line == 0 || node.line > lines_.size()) return {node.line, node.column};
    const std::string_view first = lines_[node.line - 1];
    const char mark = node.column <= first.size() ? first[node.column - 1] : ' ';
    if (mark == '|' || mark == '>') {
        // A literal block keeps its lines; the indentation is what they have more in the file.
        const std::size_t at = node.line + line - 1;
        if (mark == '>' || at >= lines_.size()) return {node.line, node.column};
        std::string_view text = node.text;
        for (std::uint32_t i = 1; i < line; ++i) {
            text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
        }
        text = text.substr(0, text.find('\n'));
        const std::string_view source = lines_[at];
        const std::size_t indent = source.find(text);
        if (indent == std::string_view::npos) return {node.line, node.column};
        return {static_cast<std::uint32_t>(at + 1), static_cast<std::uint32_t>(indent + column)};
    }
    if (line != 1) return {node.line, node.column};
    const std::uint32_t quote = mark == '"' || mark == '\'' ? 1 : 0;
    return {node.line, node.column + quote + column - 1};
}

void Reader::add_references(const Node& node, const std::string& path, Sight sight,
                            const std::vector<base::VariableUse>& uses) {
    for (base::VariableUse use : uses) {
        std::tie(use.line, use.column) = within(node, use.line, use.column);
        references.push_back({std::move(use), step, undoing ? Sight::compensation : sight, path});
    }
}

void Reader::values_of(const Node& node, const std::string& path, Sight sight) {
    for (std::size_t i = 0; i < node.items.size(); ++i) {
        values_of(node.items[i], fmt::format("{}[{}]", path, i), sight);
    }
    for (const auto& [name, member] : node.members) {
        values_of(member, fmt::format("{}.{}", path, name), sight);
    }
    if (node.kind != Node::Kind::scalar) return;
    const auto parsed = ValueTemplate::parse(base::json::value(node.text));
    if (!parsed) {
        const Told told = take_place(parsed.error().message);
        const auto [line, column] = within(node, told.line, told.column);
        fault_at(line, column, path, fmt::format("{}: {}", words(path), told.what));
        return;
    }
    std::vector<base::VariableUse> uses;
    parsed->variables(
        [&](const std::string&, const base::VariableUse& use) { uses.push_back(use); });
    add_references(node, path, sight, uses);
}

ValueTemplate Reader::value(const Node& node, const std::string& path, Sight sight) {
    values_of(node, path, sight);
    auto parsed = ValueTemplate::parse(base::to_json(node));
    return parsed ? *std::move(parsed) : ValueTemplate();
}

std::optional<base::Expression> Reader::expression(const Node& node, const std::string& path,
                                                   Sight sight) {
    if (node.kind != Node::Kind::scalar) return std::nullopt;
    const Inside inside = without_braces(node.text);
    auto parsed = base::Expression::parse(inside.text);
    if (!parsed) {
        const Told told = take_place(parsed.error().message);
        const auto [line, column] =
            within(node, told.line,
                   told.column + (told.line == 1 ? static_cast<std::uint32_t>(inside.offset) : 0));
        fault_at(line, column, path, fmt::format("{}: {}", words(path), told.what));
        return std::nullopt;
    }
    std::vector<base::VariableUse> uses = parsed->variables();
    for (base::VariableUse& use : uses) {
        if (use.line == 1) use.column += static_cast<std::uint32_t>(inside.offset);
    }
    add_references(node, path, sight, uses);
    return *std::move(parsed);
}

std::optional<base::SchemaCheck> Reader::schema(const Node& node, const std::string& path) {
    auto compiled = base::SchemaCheck::compile(base::to_json(node));
    if (compiled) return *std::move(compiled);
    // The subject is a pointer into the schema: down to the deepest node that is there.
    const Node* at = &node;
    std::string_view pointer = compiled.error().subject;
    while (!pointer.empty() && pointer.front() == '/') {
        pointer.remove_prefix(1);
        const std::string_view token = pointer.substr(0, pointer.find('/'));
        pointer.remove_prefix(token.size());
        const Node* next = at->find(token);
        if (next == nullptr && at->kind == Node::Kind::list) {
            const auto index = static_cast<std::size_t>(std::atoi(std::string(token).c_str()));
            if (index < at->items.size()) next = &at->items[index];
        }
        if (next == nullptr) break;
        at = next;
    }
    fault(*at, path, fmt::format("{}: {}", words(path), compiled.error().message));
    return std::nullopt;
}

const Node* Reader::map(const Node& node, std::string_view name) {
    const Node* found = node.find(name);
    return found != nullptr && found->kind == Node::Kind::map ? found : nullptr;
}

const Node* Reader::list(const Node& node, std::string_view name) {
    const Node* found = node.find(name);
    return found != nullptr && found->kind == Node::Kind::list ? found : nullptr;
}

void Reader::text(const Node& node, std::string_view name, std::string& out) {
    const Node* found = node.find(name);
    if (found != nullptr && found->kind == Node::Kind::scalar) out = found->text;
}

void Reader::flag(const Node& node, std::string_view name, bool& out) {
    const Node* found = node.find(name);
    if (found != nullptr) out = base::flag_of(*found).value_or(out);
}

void Reader::duration(const Node& node, std::string_view name, milliseconds& out) {
    const Node* found = node.find(name);
    if (found == nullptr || found->kind != Node::Kind::scalar) return;
    out = parse_duration(found->text).value_or(out);
}

void Reader::texts(const Node& node, std::string_view name, std::vector<std::string>& out) {
    const Node* found = node.find(name);
    if (found == nullptr) return;
    if (found->kind == Node::Kind::scalar) out.push_back(found->text);
    for (const Node& item : found->items) {
        if (item.kind == Node::Kind::scalar) out.push_back(item.text);
    }
}

std::optional<double> Reader::number_of_member(const Node& node, std::string_view name) {
    const Node* found = node.find(name);
    return found == nullptr ? std::nullopt : base::number_of(*found);
}

}  // namespace flow

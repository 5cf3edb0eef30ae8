#include "flow/definition/value_template.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "base/json/pointer.h"

namespace flow {

using base::Result;
namespace json = base::json;

namespace {

constexpr int kDepthMax = 64;

bool has_braces(std::string_view text) {
    for (const std::string_view open : {"{{", "{%", "{#"}) {
        if (text.find(open) != std::string_view::npos) return true;
    }
    return false;
}

/// What is between the braces when the text is one `{{ ... }}` and nothing else.
std::optional<std::string_view> single_expression(std::string_view text) {
    constexpr std::string_view kBlank = " \t\r\n";
    const std::size_t begin = text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return std::nullopt;
    text = text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
    if (text.size() < 4 || !text.starts_with("{{") || !text.ends_with("}}")) return std::nullopt;
    text = text.substr(2, text.size() - 4);
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    if (text.ends_with('-') || text.ends_with('+')) text.remove_suffix(1);
    return text;
}

}  // namespace

/// The parts of the value that are not as they are written. Children by name or index; a child
/// that is not here is constant.
struct ValueTemplate::Nodes {
    std::string pointer;
    std::uint32_t lines = 0, columns = 0;  ///< of the text that are before the expression
    std::variant<std::monostate, base::Expression, base::Template> own;
    std::vector<std::pair<std::size_t, std::shared_ptr<const Nodes>>> items;
    std::vector<std::pair<std::string, std::shared_ptr<const Nodes>>> members;

    using Made = std::shared_ptr<const Nodes>;

    static Result<Made> parse(const json::value& value, const std::string& at, int depth) {
        if (depth > kDepthMax) {
            return base::fail_on(at, base::Code::invalid_argument,
                                 "{} is nested more than {} levels deep", at, kDepthMax);
        }
        if (const auto* text = value.if_string())
            return parse_text({text->data(), text->size()}, at);
        Nodes nodes;
        nodes.pointer = at;
        if (const auto* list = value.if_array()) {
            for (std::size_t i = 0; i < list->size(); ++i) {
                Made item = DG_TRY(parse((*list)[i], at + "/" + std::to_string(i), depth + 1));
                if (item != nullptr) nodes.items.emplace_back(i, std::move(item));
            }
        } else if (const auto* object = value.if_object()) {
            for (const auto& [name, member] : *object) {
                Made made = DG_TRY(parse(member, at + "/" + base::pointer_token(name), depth + 1));
                if (made != nullptr) nodes.members.emplace_back(name, std::move(made));
            }
        }
        if (nodes.items.empty() && nodes.members.empty()) return Made();
        return std::make_shared<const Nodes>(std::move(nodes));
    }

    static Result<Made> parse_text(std::string_view text, const std::string& at) {
        if (!has_braces(text)) return Made();
        Nodes nodes;
        nodes.pointer = at;
        // `{{ a }} and {{ b }}` begins and ends like one expression, and does not parse as one.
        if (const auto inside = single_expression(text)) {
            if (auto parsed = base::Expression::parse(*inside)) {
                const std::string_view before(text.data(), inside->data());
                const std::size_t line = before.rfind('\n') + 1;  // 0 when there is none
                nodes.lines = static_cast<std::uint32_t>(std::ranges::count(before, '\n'));
                nodes.columns = static_cast<std::uint32_t>(before.size() - line);
                nodes.own = *std::move(parsed);
                return std::make_shared<const Nodes>(std::move(nodes));
            }
        }
        return parse_template(text, std::move(nodes), at);
    }

    /// Also tells what is wrong with a lone expression: positions then count from the text's start.
    static Result<Made> parse_template(std::string_view text, Nodes nodes, const std::string& at) {
        auto parsed = base::Template::parse(
            text, {.trim_blocks = true, .lstrip_blocks = true, .keep_trailing_newline = true});
        if (!parsed) {
            return base::fail_on(at, base::Code::invalid_argument, "{}", parsed.error().message);
        }
        nodes.own = *std::move(parsed);
        return std::make_shared<const Nodes>(std::move(nodes));
    }

    Result<json::value> render(const json::value& source, const base::Variables& variables,
                               const base::RenderOptions& options) const {
        if (const auto* expression = std::get_if<base::Expression>(&own)) {
            return placed(expression->evaluate(variables, options));
        }
        if (const auto* text = std::get_if<base::Template>(&own)) {
            auto rendered = text->render(variables, options);
            if (!rendered) return placed(std::unexpected(std::move(rendered).error()));
            return json::value(*rendered);
        }
        json::value out = source;
        for (const auto& [index, child] : items) {
            out.get_array()[index] =
                DG_TRY(child->render(source.get_array()[index], variables, options));
        }
        for (const auto& [name, child] : members) {
            out.get_object()[name] =
                DG_TRY(child->render(source.get_object().at(name), variables, options));
        }
        return out;
    }

    Result<json::value> placed(Result<json::value> result) const {
        if (!result) result.error().subject = pointer;
        return result;
    }

    void variables(
        const std::function<void(const std::string&, const base::VariableUse&)>& use) const {
        std::vector<base::VariableUse> uses;
        if (const auto* expression = std::get_if<base::Expression>(&own)) {
            uses = expression->variables();
            for (base::VariableUse& each : uses) {
                if (each.line == 1) each.column += columns;
                each.line += lines;
            }
        } else if (const auto* text = std::get_if<base::Template>(&own)) {
            uses = text->variables();
        }
        for (const base::VariableUse& each : uses) use(pointer, each);
        for (const auto& [index, child] : items) child->variables(use);
        for (const auto& [name, child] : members) child->variables(use);
    }
};

Result<ValueTemplate> ValueTemplate::parse(const json::value& value) {
    ValueTemplate out;
    out.nodes_ = DG_TRY(Nodes::parse(value, "", 0));
    out.source_ = value;
    return out;
}

Result<json::value> ValueTemplate::render(const base::Variables& variables,
                                          const base::RenderOptions& options) const {
    if (nodes_ == nullptr) return source_;
    return nodes_->render(source_, variables, options);
}

void ValueTemplate::variables(const std::function<void(const std::string& pointer,
                                                       const base::VariableUse& use)>& use) const {
    if (nodes_ != nullptr) nodes_->variables(use);
}

}  // namespace flow

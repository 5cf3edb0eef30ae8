#include "engine/constrain/ebnf.h"

#include <map>
#include <optional>

#include "base/core/utf8.h"
#include "engine/constrain/char_class.h"
#include "engine/constrain/regex.h"

namespace engine::constrain {
namespace {

using base::Code;
using base::fail_on;
using base::Result;

constexpr std::size_t kTextBytesMax = 1u << 20;
constexpr std::size_t kRulesMax = 20'000;
constexpr int kNestingMax = 200;
constexpr std::uint32_t kCountMax = 100'000;

class EbnfParser {
public:
    EbnfParser(GrammarBuilder& builder, std::string_view text) : builder_(builder), text_(text) {}

    Result<NodeId> parse() {
        if (text_.size() > kTextBytesMax) {
            return base::fail(Code::payload_too_large, "grammar: {} bytes, the limit is {}",
                              text_.size(), kTextBytesMax);
        }
        skip_space();
        while (!done()) DG_TRY(rule());
        for (const auto& [name, rule] : rules_) {
            if (!rule.defined) {
                return error_at(rule.seen_at, fmt::format("there is no rule '{}'", name));
            }
        }
        const auto root = rules_.find("root");
        if (root == rules_.end()) return error_at(0, "there is no rule 'root', which is the start");
        if (const std::optional<NodeId> node = builder_.left_recursion()) {
            for (const auto& [name, rule] : rules_) {
                if (rule.node != *node) continue;
                return error_at(rule.seen_at,
                                fmt::format("rule '{}' begins with itself before any character is "
                                            "read; write the recursion to the right",
                                            name));
            }
        }
        return root->second.node;
    }

private:
    struct Rule {
        NodeId node = -1;
        std::size_t seen_at = 0;  ///< its definition, or its first use until then
        bool defined = false;
    };

    bool done() const { return at_ >= text_.size(); }
    bool peek(char c) const { return !done() && text_[at_] == c; }
    bool take(char c) { return peek(c) && ++at_; }

    std::unexpected<base::Error> error_at(std::size_t byte, std::string_view what,
                                          Code code = Code::invalid_argument) const {
        std::size_t line = 1, column = 1;
        for (std::size_t i = 0; i < byte && i < text_.size(); ++i) {
            const bool inner = (static_cast<unsigned char>(text_[i]) & 0xC0) == 0x80;
            column = text_[i] == '\n' ? 1 : column + (inner ? 0 : 1);
            line += text_[i] == '\n';
        }
        const std::string place = fmt::format("{}:{}", line, column);
        return fail_on(place, code, "grammar, line {}, column {}: {}", line, column, what);
    }
    std::unexpected<base::Error> error(std::string_view what) const { return error_at(at_, what); }

    void skip_space() {
        while (!done()) {
            const char c = text_[at_];
            if (c == '#') {
                while (!done() && text_[at_] != '\n') ++at_;
            } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
                ++at_;
            } else {
                return;
            }
        }
    }

    static bool in_name(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    }
    std::string name() {
        const std::size_t start = at_;
        while (!done() && in_name(text_[at_])) ++at_;
        return std::string(text_.substr(start, at_ - start));
    }

    /// Whether `name ::=` stands here.
    bool at_rule() {
        const std::size_t start = at_;
        const bool named = !name().empty();
        skip_space();
        const bool is_rule = named && text_.substr(at_).starts_with("::=");
        at_ = start;
        return is_rule;
    }

    Result<Rule*> rule_named(const std::string& name, std::size_t seen_at) {
        if (const auto known = rules_.find(name); known != rules_.end()) return &known->second;
        if (rules_.size() >= kRulesMax) {
            return error_at(seen_at, fmt::format("over {} rules", kRulesMax),
                            Code::payload_too_large);
        }
        return &rules_.emplace(name, Rule{builder_.declare_rule(), seen_at, false}).first->second;
    }

    Result<void> rule() {
        const std::size_t start = at_;
        if (!at_rule()) return error("a rule was expected, as: name ::= \"text\"");
        const std::string called = name();
        skip_space();
        at_ += 3;
        Rule* rule = DG_TRY(rule_named(called, start));
        if (rule->defined) return error_at(start, fmt::format("rule '{}' is there twice", called));
        rule->defined = true;
        rule->seen_at = start;
        const NodeId node = rule->node;
        builder_.define_rule(node, DG_TRY(choice()));
        if (!done() && !at_rule()) return error("unexpected here: a part of a rule or a new rule");
        return {};
    }

    Result<NodeId> choice() {
        std::vector<NodeId> branches;
        do {
            branches.push_back(DG_TRY(sequence()));
        } while (take('|'));
        return builder_.choice(std::move(branches));
    }

    Result<NodeId> sequence() {
        std::vector<NodeId> parts;
        skip_space();
        while (!done() && !peek('|') && !peek(')') && !at_rule()) {
            parts.push_back(DG_TRY(repeated()));
            skip_space();
        }
        return builder_.sequence(std::move(parts));
    }

    Result<NodeId> repeated() {
        NodeId node = DG_TRY(part());
        for (skip_space(); !done(); skip_space()) {
            if (take('*')) {
                node = builder_.repeat(node, 0);
            } else if (take('+')) {
                node = builder_.repeat(node, 1);
            } else if (take('?')) {
                node = builder_.optional(node);
            } else if (peek('{')) {
                node = DG_TRY(counted(node));
            } else {
                break;
            }
        }
        return node;
    }

    Result<NodeId> counted(NodeId node) {
        const std::size_t start = at_++;
        const auto number = [&]() -> std::optional<std::uint32_t> {
            std::optional<std::uint32_t> value;
            for (skip_space(); !done() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
                const auto digit = static_cast<std::uint32_t>(text_[at_] - '0');
                value = std::min(kCountMax + 1, value.value_or(0) * 10 + digit);
            }
            skip_space();
            return value;
        };
        const auto low = number();
        const bool comma = take(',');
        const auto high = comma ? number() : low;
        if (!take('}') || (!low && !high)) {
            return error_at(start, "a count is {m}, {m,}, {m,n} or {,n}");
        }
        const std::uint32_t min = low.value_or(0), max = high.value_or(kUnbounded);
        if (min > kCountMax || (high && max > kCountMax)) {
            return error_at(start, fmt::format("a count over {}", kCountMax),
                            Code::payload_too_large);
        }
        if (min > max) return error_at(start, "a count with its bounds out of order");
        return builder_.repeat(node, min, max);
    }

    Result<NodeId> part() {
        const std::size_t start = at_;
        if (take('"')) return literal(start);
        if (take('[')) return char_class(start);
        if (take('.')) return utf8_char(builder_, CharClass::all());
        if (take('(')) {
            if (++nesting_ > kNestingMax) {
                return error_at(start, fmt::format("nested deeper than {}", kNestingMax),
                                Code::payload_too_large);
            }
            const NodeId node = DG_TRY(choice());
            if (!take(')')) return error_at(start, "this '(' is never closed");
            --nesting_;
            return node;
        }
        const std::string called = name();
        if (called.empty()) {
            return error("unexpected here: a part is \"text\", [class], '.', a name or ( ... )");
        }
        return DG_TRY(rule_named(called, start))->node;
    }

    Result<NodeId> literal(std::size_t start) {
        std::string bytes;
        while (!take('"')) {
            if (done() || peek('\n')) return error_at(start, "this literal is never closed");
            base::append_utf8(bytes, static_cast<char32_t>(DG_TRY(character())));
        }
        return builder_.literal(bytes);
    }

    Result<NodeId> char_class(std::size_t start) {
        CharClass chars;
        const bool inverted = take('^');
        while (!take(']')) {
            if (done()) return error_at(start, "this '[' is never closed");
            const std::size_t first_at = at_;
            const std::uint32_t first = DG_TRY(character());
            std::uint32_t last = first;
            if (peek('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
                ++at_;
                last = DG_TRY(character());
            }
            if (last < first) return error_at(first_at, "a range out of order");
            chars.add(first, last);
        }
        return utf8_char(builder_, inverted ? chars.complement() : chars);
    }

    Result<std::uint32_t> character() {
        if (take('\\')) return escape();
        const base::Utf8Char c = base::utf8_at(text_, at_);
        if (!c.valid) return error("invalid UTF-8");
        at_ += c.bytes;
        return static_cast<std::uint32_t>(c.code);
    }

    Result<std::uint32_t> escape() {
        if (done()) return error("an escape without its letter");
        const char c = text_[at_++];
        switch (c) {
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'x':
                return hex(2);
            case 'u':
                return hex(4);
            case 'U':
                return hex(8);
            default:
                break;
        }
        if (std::string_view("\\\"[]-^'./").find(c) != std::string_view::npos) {
            return static_cast<std::uint32_t>(c);
        }
        return error_at(at_ - 2, fmt::format("unknown escape '\\{}'", c));
    }

    Result<std::uint32_t> hex(int digits) {
        const std::size_t start = at_;
        std::uint64_t code = 0;
        for (int i = 0; i < digits; ++i, ++at_) {
            const char c = done() ? 'x' : text_[at_];
            const int value = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
            if (value < 0) return error(fmt::format("{} hexadecimal digits were expected", digits));
            code = code * 16 + static_cast<std::uint64_t>(value);
        }
        if (code > kCodePointMax || (code >= 0xD800 && code < 0xE000)) {
            return error_at(start, "no character has this number");
        }
        return static_cast<std::uint32_t>(code);
    }

    GrammarBuilder& builder_;
    std::string_view text_;
    std::size_t at_ = 0;
    int nesting_ = 0;
    std::map<std::string, Rule> rules_;
};

}  // namespace

Result<NodeId> add_ebnf(GrammarBuilder& builder, std::string_view text) {
    return EbnfParser(builder, text).parse();
}

Result<std::shared_ptr<const Grammar>> compile_ebnf(std::string_view text) {
    GrammarBuilder builder;
    const NodeId root = DG_TRY(add_ebnf(builder, text));
    return builder.build(root);
}

Result<NodeId> add_regex(GrammarBuilder& builder, std::string_view pattern) {
    return regex_node(builder, DG_TRY(parse_regex(pattern, Anchors::implied)), Spelling::utf8);
}

Result<std::shared_ptr<const Grammar>> compile_regex(std::string_view pattern) {
    GrammarBuilder builder;
    const NodeId root = DG_TRY(add_regex(builder, pattern));
    return builder.build(root);
}

}  // namespace engine::constrain

// The expression over metadata: a parser by recursive descent, and its evaluation.
#include "memory/filter.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/core/utf8.h"
#include "memory/labels.h"

namespace memory {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
using Op = MetadataExpression::Op;
namespace json = base::json;

constexpr int kTermsMax = 64, kLevelsMax = 16;

bool word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || (static_cast<unsigned char>(c) & 0x80) != 0;
}

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Result<MetadataExpression> whole() {
        MetadataExpression expression = DG_TRY(any_of(1));
        skip_spaces();
        if (at_ != text_.size()) return wrong("\"and\", \"or\" or the end");
        return expression;
    }

private:
    Result<MetadataExpression> any_of(int level) { return chain(level, "or", Op::any); }

    Result<MetadataExpression> chain(int level, std::string_view word, Op op) {
        const auto part = [&] { return op == Op::any ? chain(level, "and", Op::all) : one(level); };
        MetadataExpression first = DG_TRY(part());
        if (!take_word(word)) return first;
        MetadataExpression all{.op = op};
        all.children.push_back(std::move(first));
        do {
            all.children.push_back(DG_TRY(part()));
        } while (take_word(word));
        return all;
    }

    Result<MetadataExpression> one(int level) {
        if (level > kLevelsMax) {
            return fail_on("metadata", Code::invalid_argument,
                           "column {}: nested deeper than {} levels", column(), kLevelsMax);
        }
        if (take_word("not")) {
            MetadataExpression negated{.op = Op::none};
            negated.children.push_back(DG_TRY(one(level + 1)));
            return negated;
        }
        if (take("(")) {
            MetadataExpression inner = DG_TRY(any_of(level + 1));
            if (!take(")")) return wrong("\")\"");
            return inner;
        }
        if (++terms_ > kTermsMax) {
            return fail_on("metadata", Code::invalid_argument, "column {}: more than {} terms",
                           column(), kTermsMax);
        }
        return term();
    }

    Result<MetadataExpression> term() {
        const std::size_t begin = at_;
        std::string field = DG_TRY(path());
        if (field == "exists" && take("(")) {
            MetadataExpression exists{.op = Op::exists, .field = DG_TRY(path())};
            if (!take(")")) return wrong("\")\"");
            return exists;
        }
        if (field == "and" || field == "or" || field == "in" || field == "contains") {
            at_ = begin;
            return wrong("a field");
        }
        return comparison(std::move(field));
    }

    Result<MetadataExpression> comparison(std::string field) {
        if (take_word("in")) return list(std::move(field));
        if (take_word("contains")) return simple(Op::contains, std::move(field));
        if (take("!=")) {
            MetadataExpression differs{.op = Op::all};
            differs.children.push_back({.op = Op::exists, .field = field});
            differs.children.push_back({.op = Op::none});
            differs.children[1].children.push_back(DG_TRY(simple(Op::equal, std::move(field))));
            return differs;
        }
        if (take("<=")) return simple(Op::less_equal, std::move(field));
        if (take(">=")) return simple(Op::greater_equal, std::move(field));
        if (take("<")) return simple(Op::less, std::move(field));
        if (take(">")) return simple(Op::greater, std::move(field));
        if (take("==") || take("=")) return simple(Op::equal, std::move(field));
        return wrong("= != < <= > >= \"in\" or \"contains\"");
    }

    Result<MetadataExpression> simple(Op op, std::string field) {
        MetadataExpression made{.op = op, .field = std::move(field)};
        made.values.push_back(DG_TRY(value()));
        return made;
    }

    Result<MetadataExpression> list(std::string field) {
        MetadataExpression made{.op = Op::one_of, .field = std::move(field)};
        if (!take("[")) return wrong("\"[\"");
        do {
            made.values.push_back(DG_TRY(value()));
        } while (take(","));
        if (!take("]")) return wrong("\",\" or \"]\"");
        return made;
    }

    Result<std::string> path() {
        skip_spaces();
        const std::size_t begin = at_;
        while (at_ < text_.size() && (word_byte(text_[at_]) || text_[at_] == '.')) ++at_;
        const std::string_view found = text_.substr(begin, at_ - begin);
        const bool empty_part = found.empty() || found.front() == '.' || found.back() == '.' ||
                                found.find("..") != std::string_view::npos;
        if (!empty_part && base::utf8_valid_prefix_bytes(found) == found.size()) {
            return std::string(found);
        }
        at_ = begin;
        return wrong("a field, as in a.b");
    }

    Result<json::value> value() {
        skip_spaces();
        const std::size_t begin = at_;
        if (at_ < text_.size() && text_[at_] == '"') {
            for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
                if (text_[at_] == '\\') ++at_;
            }
            at_ = std::min(at_ + 1, text_.size());
        } else {
            while (at_ < text_.size() &&
                   (word_byte(text_[at_]) || text_[at_] == '.' || text_[at_] == '+')) {
                ++at_;
            }
        }
        auto parsed = base::parse_json(text_.substr(begin, at_ - begin));
        if (parsed && !parsed->is_object() && !parsed->is_array()) return std::move(*parsed);
        at_ = begin;
        return wrong("a text in double quotes, a number, true, false or null");
    }

    void skip_spaces() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' ||
                                      text_[at_] == '\n' || text_[at_] == '\r')) {
            ++at_;
        }
    }
    bool take(std::string_view sign) {
        skip_spaces();
        if (!text_.substr(at_).starts_with(sign)) return false;
        at_ += sign.size();
        return true;
    }
    bool take_word(std::string_view word) {
        skip_spaces();
        const std::size_t end = at_ + word.size();
        if (!text_.substr(at_).starts_with(word)) return false;
        if (end < text_.size() && (word_byte(text_[end]) || text_[end] == '.')) return false;
        at_ = end;
        return true;
    }

    std::size_t column() const { return base::utf8_length(text_.substr(0, at_)) + 1; }
    std::unexpected<base::Error> wrong(std::string_view expected) const {
        return fail_on("metadata", Code::invalid_argument,
                       "metadata filter, column {}: expected {}; as in topic = \"billing\" and "
                       "priority >= 2",
                       column(), expected);
    }

    const std::string_view text_;
    std::size_t at_ = 0;
    int terms_ = 0;
};

const json::value* find(const json::object& metadata, std::string_view path) {
    const json::object* object = &metadata;
    while (true) {
        const std::size_t dot = path.find('.');
        const json::value* found = object->if_contains(path.substr(0, dot));
        if (found == nullptr || dot == std::string_view::npos) return found;
        object = found->if_object();
        if (object == nullptr) return nullptr;
        path.remove_prefix(dot + 1);
    }
}

/// Whole numbers of 64 bits and doubles, compared as the numbers they are.
std::partial_ordering order_numbers(const json::value& a, const json::value& b) {
    if (a.is_double() || b.is_double()) return a.to_number<double>() <=> b.to_number<double>();
    const bool a_big = a.is_uint64() && a.get_uint64() > INT64_MAX;
    const bool b_big = b.is_uint64() && b.get_uint64() > INT64_MAX;
    if (a_big || b_big) {
        if (a_big && b_big) return a.get_uint64() <=> b.get_uint64();
        return a_big ? std::partial_ordering::greater : std::partial_ordering::less;
    }
    return a.to_number<std::int64_t>() <=> b.to_number<std::int64_t>();
}

std::partial_ordering order(const json::value& a, const json::value& b) {
    if (a.is_number() && b.is_number()) return order_numbers(a, b);
    if (a.is_string() && b.is_string()) {
        return std::string_view(a.get_string()) <=> std::string_view(b.get_string());
    }
    return std::partial_ordering::unordered;
}

bool equal(const json::value& a, const json::value& b) {
    if (a.is_bool() && b.is_bool()) return a.get_bool() == b.get_bool();
    if (a.is_null() && b.is_null()) return true;
    return order(a, b) == 0;
}

bool contains(const json::value& whole, const json::value& part) {
    if (const auto* array = whole.if_array()) {
        return std::any_of(array->begin(), array->end(),
                           [&](const json::value& element) { return equal(element, part); });
    }
    return whole.is_string() && part.is_string() &&
           std::string_view(whole.get_string()).find(std::string_view(part.get_string())) !=
               std::string_view::npos;
}

bool compare(const MetadataExpression& expression, const json::value& found) {
    const auto& values = expression.values;
    switch (expression.op) {
        case Op::exists:
            return true;
        case Op::equal:
            return equal(found, values[0]);
        case Op::less:
            return order(found, values[0]) < 0;
        case Op::less_equal:
            return order(found, values[0]) <= 0;
        case Op::greater:
            return order(found, values[0]) > 0;
        case Op::greater_equal:
            return order(found, values[0]) >= 0;
        case Op::contains:
            return contains(found, values[0]);
        default:
            return std::any_of(values.begin(), values.end(),
                               [&](const json::value& value) { return equal(found, value); });
    }
}

bool in_range(const TimeRange& range, UnixMs at) {
    return (range.from_unix_ms == 0 || at >= range.from_unix_ms) &&
           (range.to_unix_ms == 0 || at < range.to_unix_ms);
}

bool valid_within(const TimeRange& range, const Entry& entry) {
    return (range.to_unix_ms == 0 || entry.valid_from_unix_ms < range.to_unix_ms) &&
           (range.from_unix_ms == 0 || entry.valid_to_unix_ms == 0 ||
            entry.valid_to_unix_ms > range.from_unix_ms);
}

bool in_scope(const Scope& wanted, const Scope& has) {
    const auto fits = [](const std::string& a, const std::string& b) {
        return a.empty() || a == b;
    };
    return wanted.tenant == has.tenant && fits(wanted.user, has.user) &&
           fits(wanted.agent, has.agent) && fits(wanted.session, has.session) &&
           fits(wanted.run, has.run);
}

}  // namespace

bool may_see(const std::vector<std::string>& labels, const json::object& metadata) {
    const json::value* needed = metadata.if_contains(kLabelsField);
    if (needed == nullptr) return true;
    const json::array* list = needed->if_array();
    if (list != nullptr && list->empty()) return true;
    return std::any_of(labels.begin(), labels.end(), [&](const std::string& label) {
        return list != nullptr ? contains(*needed, json::value(label))
                               : equal(*needed, json::value(label));
    });
}

Result<MetadataExpression> parse_metadata_expression(std::string_view text) {
    return Parser(text).whole();
}

bool matches(const MetadataExpression& expression, const json::object& metadata) {
    const auto each = [&](const MetadataExpression& child) { return matches(child, metadata); };
    const auto& children = expression.children;
    if (expression.op == Op::all) return std::all_of(children.begin(), children.end(), each);
    if (expression.op == Op::any) return std::any_of(children.begin(), children.end(), each);
    if (expression.op == Op::none) return std::none_of(children.begin(), children.end(), each);
    const json::value* found = find(metadata, expression.field);
    if (found == nullptr) return false;
    if (expression.values.empty() && expression.op != Op::exists) return false;
    return compare(expression, *found);
}

bool matches(const Filter& filter, const Entry& entry, UnixMs now) {
    if (!in_scope(filter.scope, entry.scope)) return false;
    if (!filter.types.empty() &&
        std::find(filter.types.begin(), filter.types.end(), entry.type) == filter.types.end()) {
        return false;
    }
    if (!in_range(filter.created, entry.created_unix_ms)) return false;
    if (!filter.valid.any() && !valid_within(filter.valid, entry)) return false;
    if (filter.importance_min && entry.importance < *filter.importance_min) return false;
    if (filter.pinned && entry.pinned != *filter.pinned) return false;
    if (!filter.expired_too && expired(entry, now)) return false;
    if (filter.metadata && !matches(*filter.metadata, entry.metadata)) return false;
    return may_see(filter.labels, entry.metadata);
}

}  // namespace memory

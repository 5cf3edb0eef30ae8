#include "memory/index/metadata_index.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "memory/labels.h"

namespace memory::index {
namespace {

using base::json::value;

constexpr std::size_t kDepthMax = 16;
/// Integers up to here are doubles without loss.
constexpr double kExactMax = 0x1p53;

/// The same text for values that are equal; none for what is no scalar, or too long.
std::optional<std::string> key_of(const value& v) {
    if (v.is_null()) return "0";
    if (v.is_bool()) return v.get_bool() ? "t" : "f";
    if (v.is_string()) {
        if (v.get_string().size() > kValueBytesMax) return std::nullopt;
        return "s" + std::string(v.get_string());
    }
    if (!v.is_number()) return std::nullopt;
    const double number = v.to_number<double>();
    if (!(std::abs(number) < kExactMax)) return std::nullopt;
    return fmt::format("n{:a}", number == 0 ? 0. : number);
}

bool within_double(const value& v) {
    return v.is_double() || std::abs(v.to_number<double>()) < kExactMax;
}

bool compares(MetadataExpression::Op op, double a, double b) {
    using Op = MetadataExpression::Op;
    switch (op) {
        case Op::less:
            return a < b;
        case Op::less_equal:
            return a <= b;
        case Op::greater:
            return a > b;
        default:
            return a >= b;
    }
}

}  // namespace

void MetadataIndex::add(Slot slot, const base::json::object& metadata) {
    if (metadata.empty()) return;
    anything_.add(slot);
    add_fields(slot, "", metadata, 0);
}

void MetadataIndex::add_fields(Slot slot, const std::string& prefix,
                               const base::json::object& object, std::size_t depth) {
    for (const auto& [key, value] : object) {
        if (std::string_view(key).find('.') != std::string_view::npos)
            continue;  // no path leads to it
        const std::string path = prefix + std::string(key);
        auto found = fields_.find(path);
        if (found == fields_.end()) {
            if (fields_.size() >= kFieldsMax) {
                fields_full_ = true;
                continue;
            }
            found = fields_.try_emplace(path).first;
        }
        found->second.exists.add(slot);
        add_value(slot, found->second, value);
        const auto* children = value.if_object();
        if (children == nullptr) continue;
        if (depth + 1 < kDepthMax) {
            add_fields(slot, path + ".", *children, depth + 1);
        } else {
            fields_full_ = true;
        }
    }
}

void MetadataIndex::add_value(Slot slot, Field& field, const value& v) {
    if (const auto* array = v.if_array()) {
        for (const value& element : *array) add_key(slot, field, field.elements, element);
        if (array->empty()) field.empty_arrays.add(slot);
        return;
    }
    if (v.is_object()) return;
    if (v.is_string()) field.texts.add(slot);
    if (v.is_number()) {
        field.numbers.set(slot, v.to_number<double>());
        field.numbers_exact =
            field.numbers_exact && within_double(v) && v.to_number<double>() != kNoNumber;
    }
    add_key(slot, field, field.values, v);
}

void MetadataIndex::add_key(Slot slot, Field& field,
                            std::map<std::string, SlotSet, std::less<>>& sets, const value& v) {
    if (v.is_array() || v.is_object()) return;  // equal to nothing that can be asked
    const std::optional<std::string> key = key_of(v);
    auto found = key ? sets.find(*key) : sets.end();
    if (found == sets.end() && (!key || sets.size() >= kValuesMax))
        return field.irregular.add(slot);
    sets[*key].add(slot);
}

Bits MetadataIndex::select(const MetadataExpression& expression, const Bits& within,
                           const Read& read) const {
    using Op = MetadataExpression::Op;
    switch (expression.op) {
        case Op::all: {
            Bits left = within;
            for (const auto& child : expression.children) left = select(child, left, read);
            return left;
        }
        case Op::any:
        case Op::none: {
            Bits found(within.size()), left = within;
            for (const auto& child : expression.children) {
                const Bits more = select(child, left, read);
                found |= more;
                left -= more;
            }
            return expression.op == Op::any ? found : left;
        }
        default:
            return leaf(expression, within, read);
    }
}

Bits MetadataIndex::leaf(const MetadataExpression& leaf, const Bits& within,
                         const Read& read) const {
    using Op = MetadataExpression::Op;
    Bits out(within.size());
    const auto found = fields_.find(leaf.field);
    if (found == fields_.end()) {
        if (fields_full_) read_through(leaf, anything_, within, read, out);
        return out;
    }
    const Field& field = found->second;
    switch (leaf.op) {
        case Op::exists:
            field.exists.add_to(out);
            break;
        case Op::equal:
        case Op::one_of:
        case Op::contains: {
            const auto& sets = leaf.op == Op::contains ? field.elements : field.values;
            bool all_known = true;
            for (const value& v : leaf.values) {
                const std::optional<std::string> key = key_of(v);
                const auto set = key ? sets.find(*key) : sets.end();
                if (set != sets.end()) set->second.add_to(out);
                all_known = all_known && set != sets.end();
            }
            // A value with a set may not be among the irregular ones of another entry.
            if (!all_known) read_through(leaf, field.irregular, within, read, out);
            if (leaf.op == Op::contains && !leaf.values.empty() && leaf.values[0].is_string()) {
                read_through(leaf, field.texts, within, read, out);
            }
            break;
        }
        default:
            return compare(leaf, field, within, read);
    }
    out &= within;
    return out;
}

Bits MetadataIndex::compare(const MetadataExpression& leaf, const Field& field, const Bits& within,
                            const Read& read) const {
    Bits out(within.size());
    if (leaf.values.empty()) return out;
    const value& other = leaf.values[0];
    if (other.is_string()) {
        read_through(leaf, field.texts, within, read, out);
    } else if (other.is_number() && !(field.numbers_exact && within_double(other))) {
        read_through(leaf, field.exists, within, read, out);
    } else if (other.is_number()) {
        out = within;
        const double bound = other.to_number<double>();
        out.keep_where([&](Slot slot) {
            const double number = field.numbers.get(slot);
            return number != kNoNumber && compares(leaf.op, number, bound);
        });
    }
    return out;
}

void MetadataIndex::read_through(const MetadataExpression& leaf, const SlotSet& among,
                                 const Bits& within, const Read& read, Bits& out) {
    Bits candidates(within.size());
    among.add_to(candidates);
    candidates &= within;
    candidates -= out;
    candidates.each([&](Slot slot) {
        if (matches(leaf, read(slot))) out.set(slot);
    });
}

void MetadataIndex::keep_labelled(Bits& bits, const std::vector<std::string>& labels,
                                  const Read& read) const {
    Bits unclear(bits.size()), closed(bits.size());
    const auto found = fields_.find(kLabelsField);
    if (found == fields_.end()) {
        if (!fields_full_) return;
        anything_.add_to(unclear);
    } else {
        const Field& field = found->second;
        field.irregular.add_to(unclear);
        field.exists.add_to(closed);
        Bits open(bits.size());
        field.empty_arrays.add_to(open);
        const auto open_by = [&](const std::map<std::string, SlotSet, std::less<>>& sets,
                                 const std::string& key) {
            if (const auto set = sets.find(key); set != sets.end()) set->second.add_to(open);
        };
        for (const std::string& label : labels) {
            open_by(field.values, "s" + label);
            open_by(field.elements, "s" + label);
        }
        closed -= open;
    }
    closed -= unclear;
    bits -= closed;
    unclear &= bits;
    unclear.each([&](Slot slot) {
        if (!may_see(labels, read(slot))) bits.reset(slot);
    });
}

std::uint64_t MetadataIndex::bytes() const {
    constexpr std::uint64_t kNode = 80;  // of a tree, with its key
    std::uint64_t sum = anything_.bytes();
    for (const auto& [path, field] : fields_) {
        sum += kNode + sizeof(Field) + field.exists.bytes() + field.texts.bytes() +
               field.irregular.bytes() + field.empty_arrays.bytes() + field.numbers.bytes();
        for (const auto* sets : {&field.values, &field.elements}) {
            for (const auto& [key, set] : *sets) sum += kNode + sizeof(SlotSet) + set.bytes();
        }
    }
    return sum;
}

}  // namespace memory::index

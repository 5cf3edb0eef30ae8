#include "base/json/object_reader.h"

#include <fmt/format.h>

#include <cmath>

namespace base {
namespace {

std::string_view kind_name(const json::value& value) {
    switch (value.kind()) {
        case json::kind::null:
            return "null";
        case json::kind::bool_:
            return "a boolean";
        case json::kind::string:
            return "a string";
        case json::kind::array:
            return "an array";
        case json::kind::object:
            return "an object";
        default:
            return "a number";
    }
}

std::string_view view(const json::string& text) {
    return {text.data(), text.size()};
}

}  // namespace

ObjectReader::ObjectReader(const json::object& object, std::string path)
    : object_(object), path_(std::move(path)) {}

std::string ObjectReader::path_of(std::string_view name) const {
    return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

void ObjectReader::fault(std::string_view name, std::string_view what) {
    if (fault_) return;
    std::string path = path_of(name);
    std::string message = fmt::format("'{}' {}", path, what);
    fault_ = Error{Code::invalid_argument, std::move(message), std::move(path)};
}

const json::value* ObjectReader::find(std::string_view name) {
    known_.emplace(name);
    const json::value* const value = object_.if_contains(name);
    return value != nullptr && !value->is_null() ? value : nullptr;
}

void ObjectReader::text(std::string_view name, std::string& out, std::size_t bytes_max) {
    const json::value* const value = find(name);
    if (value == nullptr) return;
    const json::string* const text = value->if_string();
    if (text == nullptr)
        return fault(name, fmt::format("is {}; expected a string", kind_name(*value)));
    if (text->size() > bytes_max) {
        return fault(name, fmt::format("has {} bytes; at most {}", text->size(), bytes_max));
    }
    out = view(*text);
}

void ObjectReader::number(std::string_view name, double& out, double min, double max) {
    const json::value* const value = find(name);
    if (value == nullptr) return;
    if (!value->is_number()) {
        return fault(name, fmt::format("is {}; expected a number", kind_name(*value)));
    }
    const auto read = value->to_number<double>();
    if (!(read >= min && read <= max)) {
        return fault(name, fmt::format("is {}; expected {} to {}", read, min, max));
    }
    out = read;
}

std::optional<double> ObjectReader::whole_number(std::string_view name, double min, double max) {
    std::optional<double> out;
    double read = 0;
    if (find(name) == nullptr || fault_) return out;
    number(name, read, min, max);
    if (!fault_ && read != std::floor(read)) {
        fault(name, fmt::format("is {}; expected a whole number", read));
    }
    if (!fault_) out = read;
    return out;
}

void ObjectReader::flag(std::string_view name, bool& out) {
    const json::value* const value = find(name);
    if (value == nullptr) return;
    if (!value->is_bool()) {
        return fault(name, fmt::format("is {}; expected true or false", kind_name(*value)));
    }
    out = value->get_bool();
}

void ObjectReader::milliseconds(std::string_view name, std::chrono::milliseconds& out,
                                std::chrono::milliseconds max) {
    const auto read = whole_number(name, 0., static_cast<double>(max.count()));
    if (read) out = std::chrono::milliseconds(static_cast<std::int64_t>(*read));
}

void ObjectReader::texts(std::string_view name, std::vector<std::string>& out,
                         std::size_t count_max, std::size_t bytes_max) {
    const json::value* const value = find(name);
    if (value == nullptr) return;
    const json::array* const items = value->if_array();
    if (items == nullptr) {
        return fault(name, fmt::format("is {}; expected an array of strings", kind_name(*value)));
    }
    if (items->size() > count_max) {
        return fault(name, fmt::format("has {} items; at most {}", items->size(), count_max));
    }
    std::vector<std::string> read;
    for (std::size_t i = 0; i < items->size(); ++i) {
        const std::string item_name = fmt::format("{}[{}]", name, i);
        const json::string* const text = (*items)[i].if_string();
        if (text == nullptr) {
            return fault(item_name,
                         fmt::format("is {}; expected a string", kind_name((*items)[i])));
        }
        if (text->size() > bytes_max) {
            return fault(item_name,
                         fmt::format("has {} bytes; at most {}", text->size(), bytes_max));
        }
        read.emplace_back(view(*text));
    }
    out = std::move(read);
}

void ObjectReader::text_map(std::string_view name, std::map<std::string, std::string>& out,
                            std::size_t count_max, std::size_t bytes_max) {
    object(name, [&](ObjectReader& in) {
        if (in.object_.size() > count_max) {
            return fault(name,
                         fmt::format("has {} entries; at most {}", in.object_.size(), count_max));
        }
        std::map<std::string, std::string> read;
        for (const auto& entry : in.object_) {
            in.text(entry.key(), read[std::string(entry.key())], bytes_max);
        }
        if (!in.fault_) out = std::move(read);
    });
}

void ObjectReader::object(std::string_view name, const std::function<void(ObjectReader&)>& read) {
    const json::value* const value = find(name);
    if (value == nullptr) return;
    const json::object* const inner = value->if_object();
    if (inner == nullptr) {
        return fault(name, fmt::format("is {}; expected an object", kind_name(*value)));
    }
    ObjectReader reader(*inner, path_of(name));
    read(reader);
    if (auto done = reader.done(); !done && !fault_) fault_ = std::move(done).error();
}

Result<void> ObjectReader::done() {
    if (fault_) return std::unexpected(*fault_);
    for (const auto& entry : object_) {
        if (known_.contains(std::string_view(entry.key()))) continue;
        return fail_on(path_of(entry.key()), Code::invalid_argument,
                       "'{}' is not a field here; fields: {}", path_of(entry.key()),
                       fmt::join(known_, ", "));
    }
    return {};
}

}  // namespace base

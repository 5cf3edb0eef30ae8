#include "base/json/schema_of.h"

namespace base {

json::value schema_of(const json::value& example) {
    switch (example.kind()) {
        case json::kind::null:
            return json::object{};
        case json::kind::bool_:
            return json::object{{"type", "boolean"}};
        case json::kind::int64:
        case json::kind::uint64:
            return json::object{{"type", "integer"}};
        case json::kind::double_:
            return json::object{{"type", "number"}};
        case json::kind::string:
            return json::object{{"type", "string"}};
        case json::kind::array: {
            json::object schema{{"type", "array"}};
            if (!example.get_array().empty()) schema["items"] = schema_of(example.get_array()[0]);
            return schema;
        }
        case json::kind::object: {
            json::object properties;
            for (const auto& entry : example.get_object()) {
                properties[entry.key()] = schema_of(entry.value());
            }
            return json::object{{"type", "object"}, {"properties", std::move(properties)}};
        }
    }
    return json::object{};
}

}  // namespace base

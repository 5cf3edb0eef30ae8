#include "engine/model_files/protobuf.h"

namespace engine {

std::optional<std::uint64_t> read_varint(ByteReader& reader) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const auto byte = reader.read<std::uint8_t>();
        if (!byte) return std::nullopt;
        value |= static_cast<std::uint64_t>(*byte & 0x7fu) << shift;
        if ((*byte & 0x80u) == 0) return value;
    }
    return std::nullopt;
}

base::Result<ProtoField> read_proto_field(ByteReader& reader, std::string_view what) {
    const auto damaged = [what] {
        return base::fail(base::Code::data_loss, "not {}, or cut off", what);
    };
    const auto key = read_varint(reader);
    if (!key || *key >> 3 == 0 || *key >> 3 > 0x1fffffff) return damaged();
    ProtoField field;
    field.number = static_cast<std::uint32_t>(*key >> 3);
    field.wire = static_cast<std::uint32_t>(*key & 7u);
    switch (field.wire) {
        case 0: {
            const auto value = read_varint(reader);
            if (!value) return damaged();
            field.varint = *value;
            return field;
        }
        case 1: {
            const auto bytes = reader.take(8);
            if (!bytes) return damaged();
            field.bytes = *bytes;
            return field;
        }
        case 2: {
            const auto size = read_varint(reader);
            const auto bytes = size ? reader.take(*size) : std::nullopt;
            if (!bytes) return damaged();
            field.bytes = *bytes;
            return field;
        }
        case 5: {
            const auto value = reader.read<float>();
            if (!value) return damaged();
            field.f32 = *value;
            return field;
        }
        default:
            return damaged();
    }
}

}  // namespace engine

#pragma once
// Fields of protocol buffer messages, read in place from untrusted bytes.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "engine/model_files/byte_reader.h"

namespace engine {

/// One field. Only the member that `wire` names is set.
struct ProtoField {
    std::uint32_t number = 0;
    std::uint32_t wire = 0;  ///< 0 varint, 1 eight bytes, 2 bytes, 5 four bytes
    std::uint64_t varint = 0;
    float f32 = 0.f;
    std::span<const std::byte> bytes;  ///< of the message it came from

    std::string text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
};

/// Nothing when cut off or longer than ten bytes.
std::optional<std::uint64_t> read_varint(ByteReader& reader);

/// The field at the reader. Errors: data_loss (no `what`, or cut off).
base::Result<ProtoField> read_proto_field(ByteReader& reader, std::string_view what);

/// Calls on_field(field) -> Result<void> for each field in order. `what` names the format in
/// errors.
template <class OnField>
base::Result<void> for_each_proto_field(std::span<const std::byte> message, std::string_view what,
                                        const OnField& on_field) {
    ByteReader reader(message);
    while (reader.left() > 0) DG_TRY(on_field(DG_TRY(read_proto_field(reader, what))));
    return {};
}

}  // namespace engine

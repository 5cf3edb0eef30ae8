#include "engine/model_files/sentencepiece.h"

#include "engine/model_files/byte_reader.h"

namespace engine {

using base::Code;
using base::fail;
using base::Result;

namespace {

/// One field of a protocol buffer message. Only the member that `wire` names is set.
struct Field {
    std::uint32_t number = 0;
    std::uint32_t wire = 0;  ///< 0 varint, 1 eight bytes, 2 bytes, 5 four bytes
    std::uint64_t varint = 0;
    float f32 = 0.f;
    std::span<const std::byte> bytes;

    std::string text() const { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
    TokenId id() const { return static_cast<TokenId>(static_cast<std::int64_t>(varint)); }
};

std::unexpected<base::Error> damaged() {
    return fail(Code::data_loss, "not a SentencePiece model, or cut off");
}

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

Result<Field> read_field(ByteReader& reader) {
    const auto key = read_varint(reader);
    if (!key || *key >> 3 == 0 || *key >> 3 > 0x1fffffff) return damaged();
    Field field;
    field.number = static_cast<std::uint32_t>(*key >> 3);
    field.wire = static_cast<std::uint32_t>(*key & 7u);
    switch (field.wire) {
        case 0: {
            const auto value = read_varint(reader);
            if (!value) return damaged();
            field.varint = *value;
            return field;
        }
        case 1:
            if (!reader.take(8)) return damaged();
            return field;
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

template <class OnField>
Result<void> for_each_field(std::span<const std::byte> message, const OnField& on_field) {
    ByteReader reader(message);
    while (reader.left() > 0) DG_TRY(on_field(DG_TRY(read_field(reader))));
    return {};
}

Result<void> parse_piece(std::span<const std::byte> message, SentencePieceModel& model) {
    std::string piece;
    float score = 0.f;
    std::uint64_t kind = 1;
    DG_TRY(for_each_field(message, [&](const Field& field) -> Result<void> {
        if (field.number == 1 && field.wire == 2) piece = field.text();
        if (field.number == 2 && field.wire == 5) score = field.f32;
        if (field.number == 3 && field.wire == 0) kind = field.varint;
        return {};
    }));
    if (kind < 1 || kind > 6) {
        return fail(Code::data_loss, "piece {} has unknown kind {}", model.pieces.size(), kind);
    }
    model.pieces.push_back(std::move(piece));
    model.scores.push_back(score);
    model.kinds.push_back(static_cast<TokenKind>(kind - 1));
    return {};
}

Result<void> parse_trainer(std::span<const std::byte> message, SentencePieceModel& model) {
    std::uint64_t type = 1;
    DG_TRY(for_each_field(message, [&](const Field& field) -> Result<void> {
        if (field.wire != 0) return {};
        switch (field.number) {
            case 3:
                type = field.varint;
                break;
            case 40:
                model.unk = field.id();
                break;
            case 41:
                model.bos = field.id();
                break;
            case 42:
                model.eos = field.id();
                break;
            case 43:
                model.pad = field.id();
                break;
            default:
                break;
        }
        return {};
    }));
    if (type != 1 && type != 2) {
        return fail(Code::unimplemented,
                    "SentencePiece model type {} (word or char); unigram and "
                    "BPE are supported",
                    type);
    }
    model.unigram = type == 1;
    return {};
}

Result<void> parse_normalizer(std::span<const std::byte> message, SentencePieceModel& model) {
    return for_each_field(message, [&](const Field& field) -> Result<void> {
        if (field.number == 2 && field.wire == 2) model.precompiled_charsmap = field.text();
        if (field.number == 3 && field.wire == 0) model.add_dummy_prefix = field.varint != 0;
        if (field.number == 4 && field.wire == 0) {
            model.remove_extra_whitespaces = field.varint != 0;
        }
        return {};
    });
}

}  // namespace

Result<SentencePieceModel> parse_sentencepiece(std::span<const std::byte> bytes) {
    SentencePieceModel model;
    DG_TRY(for_each_field(bytes, [&](const Field& field) -> Result<void> {
        if (field.wire != 2) return {};
        switch (field.number) {
            case 1:
                return parse_piece(field.bytes, model);
            case 2:
                return parse_trainer(field.bytes, model);
            case 3:
                return parse_normalizer(field.bytes, model);
            default:
                return {};
        }
    }));
    if (model.pieces.empty()) return damaged();
    const auto size = static_cast<TokenId>(model.pieces.size());
    for (TokenId* id : {&model.unk, &model.bos, &model.eos, &model.pad}) {
        if (*id >= size || *id < -1) *id = -1;
    }
    return model;
}

}  // namespace engine

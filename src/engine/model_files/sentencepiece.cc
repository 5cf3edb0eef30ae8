#include "engine/model_files/sentencepiece.h"

#include "engine/model_files/protobuf.h"

namespace engine {

using base::Code;
using base::fail;
using base::Result;

namespace {

constexpr std::string_view kWhat = "a SentencePiece model";

TokenId id_of(const ProtoField& field) {
    return static_cast<TokenId>(static_cast<std::int64_t>(field.varint));
}

Result<void> parse_piece(std::span<const std::byte> message, SentencePieceModel& model) {
    std::string piece;
    float score = 0.f;
    std::uint64_t kind = 1;
    DG_TRY(for_each_proto_field(message, kWhat, [&](const ProtoField& field) -> Result<void> {
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
    DG_TRY(for_each_proto_field(message, kWhat, [&](const ProtoField& field) -> Result<void> {
        if (field.wire != 0) return {};
        switch (field.number) {
            case 3:
                type = field.varint;
                break;
            case 40:
                model.unk = id_of(field);
                break;
            case 41:
                model.bos = id_of(field);
                break;
            case 42:
                model.eos = id_of(field);
                break;
            case 43:
                model.pad = id_of(field);
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
    return for_each_proto_field(message, kWhat, [&](const ProtoField& field) -> Result<void> {
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
    DG_TRY(for_each_proto_field(bytes, kWhat, [&](const ProtoField& field) -> Result<void> {
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
    if (model.pieces.empty()) return fail(Code::data_loss, "{} without pieces", kWhat);
    const auto size = static_cast<TokenId>(model.pieces.size());
    for (TokenId* id : {&model.unk, &model.bos, &model.eos, &model.pad}) {
        if (*id >= size || *id < -1) *id = -1;
    }
    return model;
}

}  // namespace engine

#include "engine/kv/block_hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "base/files/sha256.h"

namespace engine {
namespace {

// 16 stretches of 4 KiB: one page of the file each, so that a cold start reads little for them.
constexpr std::size_t kSamples = 16;
constexpr std::size_t kSampleBytes = 4096;

static_assert(std::endian::native == std::endian::little, "names are made of little-endian bytes");

void add_number(base::Sha256& digest, std::uint64_t number) {
    digest.update(std::as_bytes(std::span(&number, 1)));
}

void add_part(base::Sha256& digest, std::span<const std::byte> bytes) {
    add_number(digest, bytes.size());
    digest.update(bytes);
}

}  // namespace

BlockHash model_hash(std::span<const std::byte> header, std::uint64_t file_bytes, KvType type,
                     std::span<const std::span<const std::byte>> samples) {
    base::Sha256 digest;
    add_part(digest, header);
    add_number(digest, file_bytes);
    add_number(digest, static_cast<std::uint64_t>(type));
    for (const std::span<const std::byte> sample : samples) add_part(digest, sample);
    return digest.finish();
}

BlockHash model_hash(std::span<const std::byte> file, std::uint64_t data_offset, KvType type) {
    const std::size_t header = std::min<std::size_t>(data_offset, file.size());
    const std::span<const std::byte> data = file.subspan(header);
    std::array<std::span<const std::byte>, kSamples> samples;
    for (std::size_t i = 0; i < kSamples; ++i) {
        const std::size_t at = data.size() / kSamples * i;
        samples[i] = data.subspan(at, std::min(kSampleBytes, data.size() - at));
    }
    return model_hash(file.first(header), file.size(), type, samples);
}

BlockHash chain_root(const KvIdentity& identity) {
    base::Sha256 digest;
    add_part(digest, identity.model);
    add_part(digest, std::as_bytes(std::span(identity.adapter)));
    add_part(digest, std::as_bytes(std::span(identity.tenant)));
    return digest.finish();
}

BlockHash chain_next(const BlockHash& parent, std::span<const TokenId> page_tokens) {
    static_assert(sizeof(TokenId) == 4);
    base::Sha256 digest;
    digest.update(parent);
    digest.update(std::as_bytes(page_tokens));
    return digest.finish();
}

std::string to_hex(const BlockHash& hash) {
    std::string hex;
    for (const std::byte byte : hash) hex += fmt::format("{:02x}", byte);
    return hex;
}

}  // namespace engine

#include "flow/log/postgres_blob_store.h"

#include <algorithm>
#include <array>

#include "base/files/sha256.h"
#include "flow/log/postgres_tables.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;
using base::store::pipe_bytes;
using base::store::pipe_value;
using base::store::PipeStatement;
using base::store::Row;

namespace {

constexpr std::size_t kLatelyMax = 4'096;
constexpr std::chrono::hours kLately{1};  // far less than what is collected has been there

constexpr std::string_view kPut =
    "INSERT INTO flow_blobs(run, hash, piece, pieces, put, body) VALUES ($1, $2, $3, $4, (extract("
    "epoch FROM clock_timestamp()) * 1000)::int8, $5) ON CONFLICT DO NOTHING";

}  // namespace

bool PostgresBlobStore::put_lately(const std::string& name) {
    const std::lock_guard lock(mutex_);
    if (const base::Instant now = clock_.now(); since_ + kLately <= now) {
        lately_.clear();
        since_ = now;
    }
    return lately_.contains(name);
}

/// The first piece comes last: a value that has it is whole.
Result<std::string> PostgresBlobStore::put(RunId run, std::string_view bytes) {
    std::string hash = base::sha256_hex(bytes);
    const std::string name = to_text(run) + hash;
    if (put_lately(name)) return hash;
    const std::size_t pieces =
        std::max<std::size_t>(1, (bytes.size() + options_.piece_bytes - 1) / options_.piece_bytes);
    for (std::size_t i = pieces; i-- > 0;) {
        DG_TRY(pool_.run(PipeStatement{
            kPut,
            {uuid_of(run), pipe_value(std::string_view(hash)),
             pipe_value(static_cast<std::int64_t>(i)),
             pipe_value(static_cast<std::int64_t>(pieces)),
             pipe_bytes(bytes.substr(i * options_.piece_bytes, options_.piece_bytes))}}));
    }
    const std::lock_guard lock(mutex_);
    if (lately_.size() >= kLatelyMax) lately_.clear();
    lately_.insert(name);
    return hash;
}

Result<std::string> PostgresBlobStore::get(RunId run, std::string_view hash) {
    std::string bytes;
    std::int64_t pieces = 1;
    for (std::int64_t i = 0; i < pieces; ++i) {
        const auto answer = DG_TRY(pool_.run(PipeStatement{
            "SELECT pieces, body FROM flow_blobs WHERE run = $1 AND hash = $2 AND piece = $3",
            {uuid_of(run), pipe_value(storable(hash)), pipe_value(i)}}));
        if (answer.rows() == 0 && i == 0) {
            return fail(Code::not_found, "{} has no value {}", to_text(run), hash);
        }
        answer.each([&](const Row& row) {
            pieces = row.integer(0);
            bytes += row.text(1);
        });
    }
    if (base::sha256_hex(bytes) != hash) {
        return fail(Code::data_loss, "the value {} of {} is damaged", hash, to_text(run));
    }
    return bytes;
}

Result<void> PostgresBlobStore::remove(RunId run, std::string_view hash) {
    {
        const std::lock_guard lock(mutex_);
        lately_.erase(to_text(run) + std::string(hash));
    }
    DG_TRY(pool_.run(PipeStatement{"DELETE FROM flow_blobs WHERE run = $1 AND hash = $2",
                                   {uuid_of(run), pipe_value(storable(hash))}}));
    return {};
}

Result<std::size_t> PostgresBlobStore::collect(const std::function<Result<bool>(RunId)>&) {
    const auto age = std::chrono::milliseconds(options_.orphan_after).count();
    const auto answer = DG_TRY(pool_.run(
        PipeStatement{"WITH gone AS (DELETE FROM flow_blobs b WHERE b.put < (extract(epoch FROM "
                      "clock_timestamp()) * 1000)::int8 - $1 AND NOT EXISTS (SELECT 1 FROM "
                      "flow_runs r WHERE r.id "
                      "= b.run) RETURNING b.piece) SELECT count(*) FROM gone WHERE piece = 0",
                      {pipe_value(std::int64_t{age})}}));
    return static_cast<std::size_t>(answer.integer());
}

}  // namespace flow

#include "base/store/postgres_row.h"

#include <libpq-fe.h>

#include <bit>
#include <cstddef>

namespace base::store {
namespace {

// Of pg_type, part of the protocol.
constexpr Oid kBool = 16, kFloat4 = 700, kFloat8 = 701, kNumeric = 1700;

std::uint64_t big_endian(std::string_view bytes) {
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
}

std::int64_t with_sign(std::string_view bytes) {
    const auto spare = static_cast<int>(64 - 8 * bytes.size());
    return static_cast<std::int64_t>(big_endian(bytes) << spare) >> spare;
}

/// What sum() of integers gives: digits to the base 10,000, the first with that weight.
double numeric(std::string_view bytes) {
    constexpr std::size_t kHead = 8;
    constexpr std::uint64_t kNegative = 0x4000;
    if (bytes.size() < kHead) return 0;
    double value = 0;
    for (std::size_t at = kHead; at + 2 <= bytes.size(); at += 2) {
        value = value * 10'000 + static_cast<double>(big_endian(bytes.substr(at, 2)));
    }
    const auto digits = static_cast<std::int64_t>((bytes.size() - kHead) / 2);
    for (auto power = with_sign(bytes.substr(2, 2)) + 1 - digits; power != 0;) {
        power > 0 ? (value *= 10'000, --power) : (value /= 10'000, ++power);
    }
    return big_endian(bytes.substr(4, 2)) == kNegative ? -value : value;
}

}  // namespace

bool PostgresRow::null(int column) const {
    return PQgetisnull(result_, row_, column) != 0;
}

std::string_view PostgresRow::text(int column) const {
    return {PQgetvalue(result_, row_, column),
            static_cast<std::size_t>(PQgetlength(result_, row_, column))};
}

std::int64_t PostgresRow::integer(int column) const {
    const std::string_view bytes = text(column);
    if (bytes.empty()) return 0;
    switch (PQftype(result_, column)) {
        case kBool:
            return bytes[0] != 0;
        case kFloat4:
        case kFloat8:
        case kNumeric:
            return static_cast<std::int64_t>(real(column));
        default:
            return bytes.size() <= 8 ? with_sign(bytes) : 0;
    }
}

double PostgresRow::real(int column) const {
    const std::string_view bytes = text(column);
    if (bytes.empty()) return 0;
    switch (PQftype(result_, column)) {
        case kFloat4:
            return std::bit_cast<float>(static_cast<std::uint32_t>(big_endian(bytes)));
        case kFloat8:
            return std::bit_cast<double>(big_endian(bytes));
        case kNumeric:
            return numeric(bytes);
        default:
            return static_cast<double>(integer(column));
    }
}

}  // namespace base::store

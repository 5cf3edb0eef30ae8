#pragma once
// Conversations and questions of LoCoMo's file, and passages of CMRC's, as entries of a tenant.

#include <string>
#include <vector>

#include "base/core/result.h"
#include "memory/entry.h"

namespace bench {

struct Asked {
    std::string text;
    int category = 0;                   ///< LoCoMo's; 0 for CMRC
    std::vector<std::size_t> evidence;  ///< places in `entries`
};

struct Corpus {
    std::string name;
    std::vector<memory::Entry> entries;
    std::vector<Asked> questions;
    memory::UnixMs now = 0;  ///< after everything in it
};

/// Plain or gzip.
base::Result<std::string> read_maybe_gzip(const std::string& path);
base::Result<std::vector<Corpus>> read_locomo(const std::string& path);
base::Result<Corpus> read_cmrc(const std::string& passages_path, const std::string& questions_path);

}  // namespace bench

#include "engine/model_files/prefixes.h"

#include "engine/model_files/gguf.h"

namespace engine {

base::Result<ModelPrefixes> read_prefixes(const std::string& path) {
    const GgufFile file = DG_TRY(GgufFile::open(path));
    ModelPrefixes prefixes;
    if (file.has(kQueryPrefixKey)) prefixes.query = DG_TRY(file.get_string(kQueryPrefixKey));
    if (file.has(kDocumentPrefixKey)) {
        prefixes.document = DG_TRY(file.get_string(kDocumentPrefixKey));
    }
    return prefixes;
}

}  // namespace engine

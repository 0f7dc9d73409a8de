import java.nio.file.Path;
import java.util.List;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.index.mapper.MapperExtrasPlugin;
import org.opensearch.index.reindex.ReindexPlugin;
import org.opensearch.ingest.common.IngestCommonPlugin;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** One node of OpenSearch with the settings that it is given, each as `name=value`; it ends when it is told to. */
final class SearchServer extends Node {
    private SearchServer(Settings settings) {
        super(
            new Environment(settings, Path.of(settings.get("path.home"))),
            List.of(Netty4Plugin.class, IngestCommonPlugin.class, MapperExtrasPlugin.class, ReindexPlugin.class),
            false);
    }

    public static void main(String[] words) throws Exception {
        Settings.Builder settings = Settings.builder();
        for (String word : words) {
            String[] parts = word.split("=", 2);
            settings.put(parts[0], parts[1]);
        }
        new SearchServer(settings.build()).start();
        Thread.currentThread().join();
    }
}

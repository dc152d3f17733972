import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  build: { chunkSizeWarningLimit: 99999, minify: false },
  define: { global: 'globalThis', 'process.env': '{}', 'process.env.NODE_ENV': '"production"' },
  plugins: [react()],
});
